"""What the base model writes: how it is asked, what is kept, and what is trained on of it."""

import itertools
import json
from itertools import count
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tasks.base.errors import InputError
from tasks.base.records import IGNORED, Split
from tasks.base.runs import read_records, read_verdicts
from tasks.mixture.params import MixtureParams, Packing, SamplingParams, Stream
from tasks.mixture.replay.openings import CODE, PROSE, opening
from tasks.mixture.replay.sample import replay
from tasks.mixture.replay.texts import Sample, draw_texts
from tasks.mixture.table.assemble import assemble
from tasks.mixture.table.expected import rounded_up
from tasks.mixture.table.rows import SOFT_IDS, SOFT_LOGPROBS
from tasks.text.chat import user_turn
from tasks.text.tokenizer import TextTokenizer
from tasks.training.table import Table
from tests.mixture.conftest import chunk

PARAMS = SamplingParams(sample_tokens=32, question_tokens=16, answer_tokens=24)
TEMPLATES = {
    "system": "{% for m in messages %}{% if loop.first and m.role != 'system' %}<|im_start|>system\nBe kind."
    "<|im_end|>\n{% endif %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    "no system role": "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no') }}"
    "{% elif m.role == 'user' %}{{ '[INST] ' + m.content + ' [/INST]' }}{% else %}{{ m.content + eos_token }}"
    "{% endif %}{% endfor %}",
    "thinking": "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n\n</think>\n\n{% endif %}",
}


@pytest.fixture
def tokenizer(tokenizer_folder):
    return TextTokenizer.load(tokenizer_folder)


def with_template(tokenizer: TextTokenizer, template: str) -> TextTokenizer:
    config = tokenizer.config | {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>"}
    return TextTokenizer(json.loads(tokenizer._plain), config, template)


def writer(tokenizer: TextTokenizer, text: str, end: str):
    """A model that always writes the same, and what it was asked."""
    asked = []

    def draw(prompts):
        asked.extend(prompts)
        ids, stop = tokenizer.encode(text), tokenizer.control.get(end)
        return [{"ids": ids[: one["limit"]], "stop": stop if stop in one["stops"] else None} for one in prompts]

    return draw, asked


@pytest.mark.parametrize("name", TEMPLATES)
def test_model_writes_the_users_part_after_any_template(tokenizer, name):
    made = with_template(tokenizer, TEMPLATES[name])
    turn = user_turn(made)
    end = "<|im_end|>" if turn.end_id is not None else "[/INST]"
    assert turn.end == end
    draw, asked = writer(made, "Why? [/INST] no" if turn.end_id is None else "Why?", "<|im_end|>")
    samples = [one for one in draw_texts(made, Stream.CHAT, 40, PARAMS, draw) if isinstance(one, Sample)]
    text = made.decode(samples[0].ids)
    frame = made.decode(turn.before) + "Why?" + made.decode(turn.after)
    assert text.replace("Why? ", "Why?").startswith(frame.replace("Why? ", "Why?"))
    assert samples[0].given_tokens == len(turn.before)
    assert [message.role for message in samples[0].messages] == ["user", "assistant"]
    assert samples[0].messages[0].content.strip() == "Why?"
    assert {one["limit"] for one in asked} == {PARAMS.question_tokens, PARAMS.answer_tokens}
    assert list(samples[0].ids)[-1] == made.control["<|im_end|>"], "the end of the answer is trained"


def test_template_that_hides_what_is_said_is_refused(tokenizer):
    hidden = with_template(tokenizer, "{% for m in messages %}{{ m.content | upper }}<|im_end|>{% endfor %}")
    with pytest.raises(InputError, match=r"base_model: its chat template cannot be sampled from .*leave `chat` out"):
        opening(hidden, Stream.CHAT, 0)


@pytest.mark.parametrize(
    ("stream", "text", "end", "says"),
    [(Stream.RAW, "", "<|endoftext|>", "raw is empty"), (Stream.CHAT, " \n", "<|im_end|>", "chat is empty")],
)
def test_model_that_writes_nothing_is_refused(tokenizer, stream, text, end, says):
    draw, _ = writer(tokenizer, text, end)
    with pytest.raises(InputError, match=f"dataset.replay: .*{says} .*name a dataset.replay.source"):
        list(draw_texts(tokenizer, stream, 1_000, PARAMS, draw))


def test_code_begins_with_what_files_begin_with(tokenizer):
    for openings in (CODE, PROSE):
        assert len(set(openings)) == len(openings) > 60
    start = [tokenizer.end_of_document]
    assert opening(tokenizer, Stream.RAW, 5) == start
    assert opening(tokenizer, Stream.CODE, 1) == start + tokenizer.encode(CODE[1])
    assert opening(tokenizer, Stream.CODE, len(CODE) + 1) == opening(tokenizer, Stream.CODE, 1)
    assert opening(tokenizer, Stream.PROSE, len(PROSE)) == start + tokenizer.encode(PROSE[0])


def test_as_many_tokens_as_are_wanted_in_the_order_of_their_numbers(tokenizer):
    numbers = count()

    def draw(prompts):
        lengths = [(next(numbers) * 7) % 31 for _ in prompts]
        return [{"ids": [40 + n] * n, "stop": tokenizer.end_of_document} for n in lengths]

    made = list(draw_texts(tokenizer, Stream.RAW, 2_000, PARAMS, draw))
    samples = [one for one in made if isinstance(one, Sample)]
    tokens = [len(one.ids) - one.given_tokens for one in samples if one.split is Split.TRAIN]
    assert sum(tokens[:-1]) < 2_000 <= sum(tokens)
    held = {one.id for one in samples if one.split is Split.HELD_OUT}
    assert held == {one.id for one in samples if int(one.id.rpartition("/")[2]) % 32 == 1}
    assert len(held) > 2
    assert [one.id for one in samples] == sorted(one.id for one in samples)
    assert {reason for _, reason in (one for one in made if isinstance(one, tuple))} == {"empty"}


def test_few_tokens_cost_few_samples_one_of_which_is_held(tokenizer):
    draw, asked = writer(tokenizer, "a few words that the model wrote", "<|endoftext|>")
    made = list(draw_texts(tokenizer, Stream.RAW, 20, PARAMS, draw))
    assert len(asked) <= 8
    assert {one.split for one in made if isinstance(one, Sample)} == {Split.TRAIN, Split.HELD_OUT}


def test_amounts_are_rounded_up_to_coarse_steps():
    assert [rounded_up(n) for n in (1, 129, 1_024, 1_025, 1_300, 2_000, 1_900_000)] == [
        128,
        160,
        1_024,
        1_280,
        1_536,
        2_048,
        2_097_152,
    ]
    assert all(n <= rounded_up(n) < 1.25 * n + 128 for n in range(1, 100_000, 77))


@pytest.mark.slow
def test_samples_of_a_real_model_are_the_same_however_many_are_asked_for(store, folder, tiny_model, put):
    model = folder(tiny_model)  # random, so that its questions never end
    params = PARAMS.model_copy(update={"streams": {Stream.RAW: 3.0, Stream.CODE: 1.0}})
    few = replay.direct(store, model=model, params=params, tokens=1_024)
    many = replay.direct(store, model=model, params=params, tokens=2_048)
    first, second = (list(read_records(store, made, Sample)) for made in (few, many))
    by_id = {one.id: one for one in second}
    assert all(by_id[one.id] == one for one in first)
    assert {one.method for one in first} == set(params.streams)
    for stream, part in params.streams.items():
        assert 256 * part <= few.counts[f"tokens:{stream}"] + 1 <= 256 * part + 64
    other = replay.direct(store, model=model, params=params.model_copy(update={"seed": 1}), tokens=1_024)
    assert {one.ids for one in read_records(store, other, Sample)}.isdisjoint(one.ids for one in first)
    assert {verdict.reason for verdict in read_verdicts(store, few)} <= {"empty", "unfinished-question"}

    table = assemble.direct(
        store,
        chunks=put([chunk("o/r/file/a", "value\n" * 400)]),
        dialogues=put([]),
        model=model,
        params=MixtureParams(packing=Packing.NONE),
        max_tokens=1_024,
        replay=few,
        replay_share=0.3,
    )
    rows = pq.read_table(Path(store.checkout(table)) / "table.parquet").to_pylist()
    replayed = [row for row in rows if row["source"].startswith("replay-")]
    samples = {one.id: one for one in first}
    for row in replayed:
        sample = samples[row["document_id"]]
        assert row["input_ids"] == list(sample.ids)
        bare = [label == IGNORED for label in row["labels"]]
        assert bare == [place < sample.given_tokens for place in range(len(sample.ids))]
        assert sample.split is Split.TRAIN
    assert sum(table.counts[f"tokens:{row}"] for row in {row["source"] for row in replayed}) > 200


@pytest.mark.slow
def test_likeliest_tokens_stand_beside_every_sampled_token_of_the_table(store, folder, tiny_model, put):
    params = PARAMS.model_copy(update={"soft_targets": 5, "streams": {Stream.RAW: 1.0}})
    model = folder(tiny_model)
    made = replay.direct(store, model=model, params=params, tokens=1_024)
    samples = list(read_records(store, made, Sample))
    ids, logprobs = (np.load(store.checkout(made) / name) for name in (SOFT_IDS, SOFT_LOGPROBS))
    starts = np.cumsum([0, *(len(one.ids) for one in samples)])
    assert ids.shape == logprobs.shape == (starts[-1], 5)
    assert (ids[starts[:-1]] == -1).all()
    inner = np.setdiff1d(np.arange(starts[-1]), starts[:-1])
    assert (ids[inner] >= 0).all()
    assert (np.diff(logprobs[inner].astype(float), axis=1) <= 0).all()
    assert (np.exp(logprobs[inner].astype(float)).sum(1) <= 1.001).all()
    table = assemble.direct(
        store,
        chunks=put([chunk(f"o/r/file/{n}", "value\n" * 126) for n in range(9)]),
        dialogues=put([]),
        model=model,
        params=MixtureParams(),
        max_tokens=256,
        replay=made,
        replay_share=0.3,
    )
    rows = Table(store.checkout(table))
    soft = [row for row in (rows.row(number) for number in range(len(rows))) if row.soft is not None]
    assert 0 < len(soft) < len(rows)
    by_ids = {one.ids: (start, one) for start, one in zip(starts.tolist(), samples, strict=False)}
    found = 0
    for row in soft:
        begins = [*np.flatnonzero(row.position_ids == 0).tolist(), len(row.input_ids)]
        for begin, end in itertools.pairwise(begins):
            start, _ = by_ids.get(tuple(row.input_ids[begin:end].tolist()), (None, None))
            expected = np.full((end - begin, 5), -1) if start is None else ids[start : start + end - begin]
            assert (row.soft.ids[begin:end] == expected).all()
            found += start is not None
    assert found > 5
