"""Step `synthesis/written`: a model writes about materials, where the GPU is.

In rounds: for each material and manner the list of what is worth asking; for each question the answer with the
material before it (greedy, the one that is kept), a second one at temperature 1, and one without the material. A
conversation takes a round for each of its turns. What is kept of it is decided later, without a GPU
(`study/verdicts.py`).

The answers are an artifact, each under the digest of what was asked: an unchanged material's are taken from whatever
this store's earlier artifacts of the same model and settings hold, so another machine, month or trial asks for what is
new alone. Portions are put into the store as they are finished, and within one the engine's log has every batch:
whoever goes on after a death, on this machine or another, writes the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from tasks.base.artifacts import Artifact
from tasks.base.errors import InputError
from tasks.base.files import write_text
from tasks.base.params import identity_of
from tasks.base.progress import notice
from tasks.base.records import Message, Record
from tasks.base.runs import StepRun, read_records
from tasks.base.steps import step
from tasks.model.child import run_child, staying
from tasks.model.request import WritingRequest
from tasks.synthesis.study import prompts
from tasks.synthesis.study.calls import materials_of
from tasks.synthesis.study.materials import Material
from tasks.synthesis.study_params import Manner, WritingParams
from tasks.text.chat import prompt_ids, stop_ids
from tasks.text.tokenizer import TextTokenizer, stored_tokenizer

VERSION = "2026.11.30"

WRITING_JOB: Final = "tasks.model.generate:write"

PORTION: Final = 512
"""Lists that are made, and their questions answered, before the store has the portion."""


class Said(Record):
    """What a model wrote in one turn."""

    text: str
    finished: bool
    """False = cut off at the limit."""


class Turn(Record):
    """A question and what was answered to it."""

    question: str
    answer: Said
    """With the material before it, greedy; its lines are named in it."""
    again: Said
    """With the material before it, at temperature 1."""
    closed: Said
    """Without the material, greedy."""


class Written(Record):
    """What was written about one material in one manner."""

    id: str
    """`<material>/<manner>`."""
    digest: str
    """Of the material and the wording of the prompts."""
    manner: Manner
    listing: Said
    dialogues: tuple[tuple[Turn, ...], ...]
    """One turn each, or the turns of one conversation; empty if the list has no question."""


@step("synthesis/written", VERSION)
def written(run: StepRun, calls: Artifact, model: Artifact, params: WritingParams) -> None:
    """Writes a `Written` for every material and manner, by the ids of both.

    Args:
        run: this execution.
        calls: the materials.
        model: who writes.
        params: lengths and seed.

    Raises:
        InputError: the model has no chat template that takes a question.
    """
    materials = materials_of(run, calls)
    wanted = {f"{one.id}/{manner}": (one, manner) for one in materials.values() for manner in one.manners}
    made = {
        one.id: one
        for one in earlier(run, model, params)
        if one.id in wanted and one.digest == digest(wanted[one.id][0])
    }
    run.resolved["found"] = len(made)
    missing = [name for name in wanted if name not in made]
    writer = Writer(run, model, params)
    with staying():
        for start in range(0, len(missing), PORTION):
            notice(f"{len(made):,} of {len(wanted):,} lists of questions are answered")
            for one in writer.portion({name: wanted[name] for name in missing[start : start + PORTION]}):
                made[one.id] = one
    run.resolved["written_tokens"] = writer.tokens
    run.count("dialogues", sum(len(one.dialogues) for one in made.values()))
    run.write(made[name] for name in sorted(made))


def earlier(run: StepRun, model: Artifact, params: WritingParams) -> Iterator[Written]:
    """What earlier artifacts of the store hold that the same model wrote in the same way, the oldest first."""
    for manifest in reversed(list(run.store.manifests(run.step))):
        document = manifest.key_document
        same_model = document["inputs"]["model"] == model.sha256
        same_way = (document["version"], document["parameters"]["params"]) == (run.version, identity_of(params))
        if same_model and same_way and run.store.is_whole(manifest):
            yield from read_records(run.store, run.store.artifact(manifest), Written)


def digest(material: Material) -> str:
    """Of all that decides what is asked about a material."""
    return f"{prompts.PROMPT_VERSION}/{material.digest}"


@dataclass
class Thread:
    """A dialogue that is being written."""

    name: str
    """Decides its second answers beside the seed."""
    material: Material
    manner: Manner
    questions: Sequence[str]
    turns: list[Turn] = field(default_factory=list)

    def is_open(self, turn: int) -> bool:
        """Whether that turn is to be answered: what goes on from an answer that was cut off would be rejected."""
        return turn < len(self.questions) and all(one.answer.finished for one in self.turns)

    def opened(self, turn: int) -> tuple[Message, ...]:
        """What is asked with the material."""
        said = [one.answer.text for one in self.turns]
        return prompts.answering(self.material, self.manner, self.questions[: turn + 1], said)

    def closed(self, turn: int) -> tuple[Message, ...]:
        """What is asked without it."""
        said = [prompts.answered(one.answer.text)[0] for one in self.turns]
        return prompts.closed_book(self.questions[: turn + 1], said)


Sayer = Callable[[str, Sequence[tuple[str, tuple[Message, ...]]], int, bool], list[Said]]
"""Has a model write: name of the batch, what is asked by name, most new tokens, whether at temperature 1 or greedy."""


def write_portion(asked: Mapping[str, tuple[Material, Manner]], params: WritingParams, say: Sayer) -> list[Written]:
    """What is written about some materials, in their order: lists, then the answers to their questions."""
    lists = say("lists", [(key, prompts.listing(*one)) for key, one in asked.items()], params.listing_tokens, False)
    listed = list(zip(asked.items(), lists, strict=True))
    threads = {key: _threads(key, material, manner, said) for (key, (material, manner)), said in listed}
    for number in range(prompts.TURNS):
        opened = [one for held in threads.values() for one in held if one.is_open(number)]
        _answer(number, opened, params.answer_tokens, say)
    return [
        Written(
            id=key,
            digest=digest(material),
            manner=manner,
            listing=said,
            dialogues=tuple(tuple(one.turns) for one in threads[key]),
        )
        for (key, (material, manner)), said in listed
    ]


def _threads(key: str, material: Material, manner: Manner, said: Said) -> list[Thread]:
    """The dialogues that a list begins: one for each question, or one conversation of all."""
    whole = manner is Manner.CONVERSATION
    questions = prompts.listed(said.text, prompts.TURNS if whole else material.questions)
    groups = ([questions] if questions else []) if whole else [[question] for question in questions]
    return [Thread(f"{key}/{place}", material, manner, group) for place, group in enumerate(groups)]


def _answer(number: int, threads: Sequence[Thread], limit: int, say: Sayer) -> None:
    """One turn of every thread: with the material, again, and without it."""
    opened = [(one.name, one.opened(number)) for one in threads]
    closed = [(f"{one.name}/closed", one.closed(number)) for one in threads]
    greedy = say(f"{number}-answers", [*opened, *closed], limit, False)
    again = say(f"{number}-again", opened, limit, True)
    for place, one in enumerate(threads):
        said = {"answer": greedy[place], "again": again[place], "closed": greedy[len(threads) + place]}
        one.turns.append(Turn(question=one.questions[number], **said))


class Writer:
    """Has the model write, a portion at a time."""

    def __init__(self, run: StepRun, model: Artifact, params: WritingParams) -> None:
        self._run, self._params = run, params
        self._folder = run.checkout(model)
        self._tokenizer: TextTokenizer = stored_tokenizer(self._folder)
        config = json.loads((self._folder / "config.json").read_text("utf-8"))
        self._context: int | None = config.get("max_position_embeddings")
        self._work = run.cache("written", run.key, "work")
        self._kept = run.store.root / "cache" / "written" / run.key
        self.tokens = 0
        """Written so far, by this execution."""

    def portion(self, asked: Mapping[str, tuple[Material, Manner]]) -> list[Written]:
        """What is written about some materials; from the store if an execution that died had put it there."""
        name = hashlib.sha256(
            "\n".join(f"{key} {digest(material)}" for key, (material, _) in asked.items()).encode()
        ).hexdigest()[:16]
        path = self._kept / f"{name}.jsonl"
        if path.exists():
            return [Written.model_validate_json(line) for line in path.read_text("utf-8").splitlines()]
        made = write_portion(asked, self._params, partial(self._say, name))
        write_text(path, "".join(f"{one.line()}\n" for one in made))
        return made

    def _say(
        self, portion: str, name: str, asked: Sequence[tuple[str, tuple[Message, ...]]], limit: int, sampled: bool
    ) -> list[Said]:
        import pyarrow.parquet as pq

        if not asked:
            return []
        given = [(key, prompt_ids(self._tokenizer, messages)) for key, messages in asked]
        longest, held = max(len(ids) for _, ids in given) + limit, self._context
        if held is not None and longest > held:
            raise InputError(
                f"synthesis.study.shown_characters: what is shown takes {longest:,} tokens with its answer, and the "
                f"model holds {held:,}; show less at once"
            )
        work = self._work / portion
        source = work / f"{name}.jsonl"
        write_text(source, "".join(json.dumps({"name": key, "ids": ids, "limit": limit}) + "\n" for key, ids in given))
        request = WritingRequest(
            model=self._folder,
            prompts=source,
            target=work / f"{name}.parquet",
            finished=work / f"{name}.log",
            stop_ids=stop_ids(self._tokenizer),
            pad_id=self._tokenizer.end_of_document,
            sampled=sampled,
            seed=self._params.seed,
        )
        unit = name.rpartition("-")[-1]
        made = run_child(WRITING_JOB, request, lambda facts: self._run.progress(facts["done"], facts["total"], unit))
        self.tokens += made["tokens"]
        self._run.resolved.update(device=made["device"], dtype=made["dtype"], engine=made["engine"])
        self._run.ledger("written", texts=made["texts"], tokens=made["tokens"], seconds=made["seconds"])
        found: list[dict[str, Any]] = pq.read_table(request.target, columns=["ids", "finished"]).to_pylist()
        return [
            Said(text=self._tokenizer.decode(one["ids"], skip_control=True).strip(), finished=one["finished"])
            for one in found
        ]
