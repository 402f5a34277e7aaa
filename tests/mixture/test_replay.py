import json

import pytest

from tasks.base.errors import InputError
from tasks.base.records import Dialogue
from tasks.base.runs import read_records, read_verdicts
from tasks.mixture.params import MixtureParams, Packing, Replay, ReplayAnswers
from tasks.mixture.replay.answers import replay_answers, replay_stream, with_answer
from tasks.mixture.replay.sources import replay, to_messages
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
    made = replay.direct(store, params=Replay(source=str(path), records=10))
    found = list(read_records(store, made, Dialogue))
    assert len(found) == 10
    assert found[0].id.startswith("replay/general/000000")
    assert [verdict.reason for verdict in read_verdicts(store, made)] == ["no-dialogue"]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    copy = elsewhere / "general.jsonl"
    copy.write_bytes(path.read_bytes())
    assert Replay(source=str(copy)).identity() == Replay(source=str(path)).identity()
    copy.write_bytes(path.read_bytes() + b"\n")
    assert Replay(source=str(copy)).identity() != Replay(source=str(path)).identity()


def test_file_without_dialogues_is_bad_input(store, tmp_path):
    with pytest.raises(InputError, match="holds no record with messages"):
        replay.direct(store, params=Replay(source=str(stream(tmp_path, 0, [{"text": "x"}]))))


def test_stream_gets_its_share_of_the_table(store, put, model, tmp_path):
    params = MixtureParams(
        packing=Packing.NONE,
        shares={"raw": 0.5, "dialogue": 0.25, "replay": 0.25},
    )
    made = assemble.direct(
        store,
        chunks=put([chunk(f"o/r/file/{n:02d}", f"value {n}\n" * 20) for n in range(20)]),
        dialogues=put([dialogue(f"o/r/file/{n:02d}", f"What is {n}?", f"Value {n}.") for n in range(4)]),
        model=model,
        params=params,
        max_tokens=8192,
        train_tokens=2000,
        replay=replay.direct(store, params=Replay(source=str(stream(tmp_path)), records=20)),
    )
    counts = made.counts
    assert counts["tokens:replay-general"] == pytest.approx(500, abs=60)
    assert counts["tokens:dialogue-fact"] == pytest.approx(500, abs=60)
    assert counts["tokens:raw-file"] == pytest.approx(1000, abs=120)
    assert counts["tokens_in"] + counts["tokens_repeated"] == counts["tokens"] + counts["tokens_out:not-sampled"]


def test_no_replay_gives_no_stream(store, model):
    assert replay_stream(store, model, None) is None


@pytest.mark.slow
def test_base_model_answers_in_its_own_words(store, folder, tiny_model, tmp_path):
    params = Replay(source=str(stream(tmp_path, 6)), answers=ReplayAnswers.BASE_MODEL, answer_tokens=4)
    given = replay.direct(store, params=params)
    made = replay_answers.direct(store, dialogues=given, model=folder(tiny_model), params=params)
    # a random model hardly ever ends its answer; what it did end stands under its name
    assert made.counts["records"] + made.counts.get("verdict:unfinished-answer", 0) == 6
    for found in read_records(store, made, Dialogue):
        assert found.provenance.model == "base"
        assert [message.role for message in found.messages] == ["user", "assistant"]


def test_answer_is_replaced_with_all_that_followed():
    first = dialogue("d", "Q", "A")
    longer = first.model_copy(update={"messages": (*first.messages, *first.messages)})
    made = with_answer(longer, "B", "base")
    assert [message.content for message in made.messages] == ["Q", "B"]
    assert made.provenance.model == "base"
