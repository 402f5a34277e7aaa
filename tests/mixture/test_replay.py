import json

import pytest

from tasks.base.errors import InputError
from tasks.base.records import Dialogue
from tasks.base.runs import read_records, read_verdicts
from tasks.mixture.params import MixtureParams, Packing, SourceParams
from tasks.mixture.replay.sources import replay_source, to_messages
from tasks.mixture.table.assemble import assemble
from tests.mixture.conftest import chunk, dialogue


def stream(tmp_path, count=40, extra=()):
    path = tmp_path / "general.jsonl"
    records = [{"prompt": f"What is {n} plus {n}?", "completion": f"It is {2 * n}."} for n in range(count)]
    path.write_text("".join(json.dumps(record) + "\n" for record in [*records, *extra]), "utf-8")
    return path


@pytest.mark.parametrize(
    "record",
    [
        {"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]},
        {"conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]},
        {"prompt": "Q", "response": "A"},
        {"instruction": "Q", "input": "", "output": "A"},
        {"question": "Q", "answer": "A"},
    ],
)
def test_known_formats_give_messages(record):
    messages = to_messages(record)
    assert messages is not None
    assert [(message.role, message.content) for message in messages] == [("user", "Q"), ("assistant", "A")]


@pytest.mark.parametrize(
    "record",
    [{}, {"text": "x"}, {"prompt": "Q", "completion": " "}, {"messages": [{"role": "user", "content": "Q"}]}],
)
def test_record_without_an_answer_gives_none(record):
    assert to_messages(record) is None


def test_file_is_sampled_alike_and_known_by_its_bytes(store, tmp_path):
    path = stream(tmp_path, extra=[{"text": "no dialogue"}])
    made = replay_source.direct(store, params=SourceParams(source=str(path), records=10))
    found = list(read_records(store, made, Dialogue))
    assert len(found) == 10
    assert found[0].id.startswith("replay/general/000000")
    assert [verdict.reason for verdict in read_verdicts(store, made)] == ["no-dialogue"]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    copy = elsewhere / "general.jsonl"
    copy.write_bytes(path.read_bytes())
    assert SourceParams(source=str(copy)).identity() == SourceParams(source=str(path)).identity()
    copy.write_bytes(path.read_bytes() + b"\n")
    assert SourceParams(source=str(copy)).identity() != SourceParams(source=str(path)).identity()


def test_file_without_dialogues_is_bad_input(store, tmp_path):
    with pytest.raises(InputError, match="holds no record with messages"):
        replay_source.direct(store, params=SourceParams(source=str(stream(tmp_path, 0, [{"text": "x"}]))))


def test_replay_gets_its_share_of_the_table(store, put, model, tmp_path):
    made = assemble.direct(
        store,
        chunks=put([chunk(f"o/r/file/{n:02d}", f"value {n}\n" * 20) for n in range(20)]),
        dialogues=put([dialogue(f"o/r/file/{n:02d}", f"What is {n}?", f"Value {n}.") for n in range(4)]),
        model=model,
        params=MixtureParams(packing=Packing.NONE, passes={"raw": 1, "dialogue": 2}),
        max_tokens=8192,
        replay=replay_source.direct(store, params=SourceParams(source=str(stream(tmp_path)), records=20)),
        replay_share=0.25,
    )
    counts = made.counts
    others = counts["tokens:raw-file"] + counts["tokens:dialogue-fact"]
    assert counts["tokens:replay-general"] == pytest.approx(others / 3, abs=60)
    assert counts["tokens_repeated"] == counts["tokens:dialogue-fact"] / 2
    assert counts["tokens_in"] + counts["tokens_repeated"] == counts["tokens"] + counts["tokens_out:not-sampled"]
    assert counts["replay_tokens_missing"] == 0


def test_replay_that_falls_short_of_its_share_is_told(store, put, model, tmp_path):
    made = assemble.direct(
        store,
        chunks=put([chunk(f"o/r/file/{n:02d}", f"value {n}\n" * 20) for n in range(20)]),
        dialogues=put([]),
        model=model,
        params=MixtureParams(),
        max_tokens=8192,
        replay=replay_source.direct(store, params=SourceParams(source=str(stream(tmp_path)), records=3)),
        replay_share=0.5,
    )
    counts = made.counts
    assert counts["replay_tokens_missing"] == counts["tokens:raw-file"] - counts["tokens:replay-general"] > 0
