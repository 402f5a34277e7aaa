import json

import pytest
from prefect import flow

from tasks.base.records import Split
from tasks.mixture.assemble import assemble
from tasks.mixture.params import MixtureParams
from tests.mixture.conftest import chunk, dialogue


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_dask_workers_make_the_same_table(store, put, byte_model, prefect_harness, monkeypatch):
    monkeypatch.setattr("tasks.base.shards.shards_of.__defaults__", ("records.jsonl", 20_000))
    sides = [Split.HELD_OUT if number % 9 == 0 else Split.TRAIN for number in range(300)]
    chunks = put(
        [chunk(f"o/r/file/{n:04d}", f"value {n}\n" * (n % 50 + 1), split=side) for n, side in enumerate(sides)]
    )
    pairs = put([dialogue(f"o/r/file/{n:04d}", f"What is {n}?", "A.", split=side) for n, side in enumerate(sides)])

    @flow
    def both():
        made = []
        for runner in ("local", "dask"):
            params = MixtureParams(max_tokens=512, train_tokens=30_000, runner=runner)
            made.append(assemble(store, chunks=chunks, dialogues=pairs, model=byte_model, params=params))
            for manifest in store.local("steps", "mixture").rglob("manifest.json"):
                manifest.unlink()
        return made

    here, there = both()
    assert json.dumps(here.model_dump()) == json.dumps(there.model_dump())
    assert there.counts["held_out"] == 2 * sides.count(Split.HELD_OUT)
    assert there.counts["verdict:not-sampled"] > 0
