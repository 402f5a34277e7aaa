import json

import pytest
from prefect import flow

from tasks.base.records import Chunk, Split
from tasks.base.runs import read_records
from tasks.base.shards import RunnerParams
from tasks.mixture.leaks.guard import HITS_PER_ITEM, leak_guard
from tasks.mixture.params import LeakParams, MixtureParams
from tasks.mixture.report.data_report import data_report
from tasks.mixture.table.assemble import assemble
from tests.mixture.conftest import chunk, dialogue, item


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_dask_workers_make_the_same_table_find_the_same_leaks_and_report_the_same(
    store, put, byte_model, prefect_harness
):
    sides = [Split.HELD_OUT if number % 9 == 0 else Split.TRAIN for number in range(300)]
    chunks = put(
        [chunk(f"o/r/file/{n:04d}", f"value {n}\n" * (n % 50 + 1), split=side) for n, side in enumerate(sides)]
    )
    pairs = put([dialogue(f"o/r/file/{n:04d}", f"What is {n}?", "A.", split=side) for n, side in enumerate(sides)])
    leaked, answer = "Which of the many values in this store is the last one that anybody wrote down?", "The last one."
    copies = [chunk(f"o/r/file/99{n:02d}", f"{leaked} {answer}\n") for n in range(30)]
    chunks = put([*read_records(store, chunks, Chunk), *copies])
    asked = put(
        [item("o/r/file/9900", leaked, answer), item("o/r/file/0001", "Who maintains the gateway?", "Team Blue")]
    )

    @flow
    def both():
        made = []
        for where in ("local", "dask"):
            runner = RunnerParams(runner=where, shard_bytes=20_000)
            sizes = {"max_tokens": 512, "train_tokens": 30_000}
            inputs = {"chunks": chunks, "dialogues": pairs}
            table = assemble(store, **inputs, model=byte_model, params=MixtureParams(), runner=runner, **sizes)
            guarded = leak_guard(store, items=asked, table=table, **inputs, params=LeakParams(), runner=runner)
            about = {"items": asked, "guarded": guarded, "corpus": [pairs]}
            report = data_report(
                store, table=table, chunks=chunks, model=byte_model, max_tokens=512, runner=runner, **about
            )
            made.append([table, guarded, report])
            for manifest in store.local("steps", "mixture").rglob("manifest.json"):
                manifest.unlink()
        return made

    here, there = both()
    assert [json.dumps(made.model_dump()) for made in here] == [json.dumps(made.model_dump()) for made in there]
    table, guarded, report = there
    assert table.counts["held_out"] == 2 * sides.count(Split.HELD_OUT)
    assert table.counts["verdict:not-sampled"] > 0
    assert (guarded.counts["leaks"], guarded.counts["hits"]) == (1, HITS_PER_ITEM)
    assert report.counts["rows"] == table.counts["records"]
