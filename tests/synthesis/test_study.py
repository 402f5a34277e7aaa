"""Study material: what a model is shown, how its lines are read, and what of them is kept."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from pydantic import ValidationError

from tasks.base.artifacts import Artifact
from tasks.base.errors import RecordError
from tasks.base.records import Dialogue, Document, Kind, Message, Verdict
from tasks.base.runs import StepRun, read_records, read_verdicts
from tasks.base.steps import step
from tasks.base.store import Store
from tasks.synthesis.curation import Curated
from tasks.synthesis.dialogues import dialogues
from tasks.synthesis.facts.step import facts
from tasks.synthesis.params import SynthesisParams
from tasks.synthesis.study import prompts
from tasks.synthesis.study.calls import calls
from tasks.synthesis.study.checks import likeness
from tasks.synthesis.study.kept import Kept
from tasks.synthesis.study.materials import Material, Part
from tasks.synthesis.study.written import Said, Turn, Written, digest, write_portion
from tasks.synthesis.study_params import CallParams, Manner, WritingParams
from tests.synthesis.conftest import MakeSplit, document, page, reasons

ENGINE = (
    "# Engine\n\nThe engine of rocket 7 has 9 burners and one tank. It is the heart of the rocket.\n\n## Start\n\n"
    "Run `make burn_engine` before launch, because a cold engine stalls.\nThe valve opens at 250 degrees.\n"
)
PUMP = "def pump_fuel(litres):\n    return litres * 3\n\n\ndef drain_tank(tank):\n    return tank.empty()\n" * 3
HIDDEN = "def secret_valve(pressure):\n    return pressure + 77\n" * 6

GOOD = "A cold engine stalls, so run `make burn_engine` before launch.\nLines: 7-7"


def pull(number: int, text: str, paths: Sequence[str], **meta: object) -> Document:
    files = [{"path": path, "status": "modified", "patch": f"+ {path} is new"} for path in paths]
    made = document(str(number), text, Kind.PULL, "octo/rocket", number=number, files=files, **meta)
    return made.model_copy(update={"title": "Open the valve later"})


def split(make_split: MakeSplit) -> tuple[Artifact, list[Document], list[Document]]:
    train = [
        document("docs/engine.md", ENGINE),
        document("src/pump.py", PUMP),
        document("src/tank.py", PUMP.replace("pump", "fill")),
        pull(12, "Opens the valve at 250 degrees, since it froze. " * 5, ["src/pump.py", "src/valve.py"]),
        pull(13, "", ["src/pump.py"], commits=[{"message": "Pump twice " * 30}]),
    ]
    held_out = [document("src/valve.py", HIDDEN), document("docs/hidden.md", ENGINE.replace("7", "8"))]
    return make_split(train, held_out), train, held_out


def shown(store: Store, documents: Artifact, **params: object) -> dict[str, Material]:
    made = calls.direct(store, documents=documents, params=CallParams.model_validate(params))
    return {one.id: one for one in read_records(store, made, Material)}


def test_documents_folders_pulls_and_joined_flows_are_shown(store: Store, make_split: MakeSplit) -> None:
    documents, _, _ = split(make_split)
    found = shown(store, documents)
    assert sorted({one.form for one in found.values()}) == ["document", "flow", "folder", "pull"]
    folder = found["octo/rocket/folder/src#folder/000001"]
    assert folder.lines[0] == "== src/pump.py"
    assert Manner.HOW_TO not in folder.manners
    flow = found["octo/rocket/pull/12#flow/000001"]
    assert "== src/pump.py as it is now" in flow.lines
    assert flow.manners == (Manner.HOW, Manner.WHY, Manner.WHAT_IF)
    undescribed = found["octo/rocket/pull/13#pull/000001"]
    assert "Commit: Pump twice" in undescribed.text
    assert "+ src/pump.py is new" in undescribed.text


def test_held_out_documents_are_never_shown(store: Store, make_split: MakeSplit) -> None:
    documents, _, held_out = split(make_split)
    found = shown(store, documents)
    hidden = {one.id for one in held_out}
    assert not hidden & {part.document_id for one in found.values() for part in one.parts}
    assert "secret_valve" not in "".join(one.text for one in found.values())


def test_tests_and_what_is_too_short_get_a_verdict(store: Store, make_split: MakeSplit) -> None:
    documents = make_split([document("tests/test_pump.py", PUMP), document("a.txt", "Short."), page(1)])
    made = calls.direct(store, documents=documents, params=CallParams())
    assert reasons(made) == {"test": 1, "too-short": 2}
    assert made.counts["records"] == 0


def test_every_line_leads_back_to_its_document(store: Store, make_split: MakeSplit) -> None:
    documents, train, _ = split(make_split)
    texts = {one.id: one.text.split("\n") for one in train}
    followed = 0
    for material in shown(store, documents, shown_characters=500).values():
        for number, line in enumerate(material.lines, 1):
            place = material.place(number)
            assert place is not None
            part, original = place
            if original and line:
                assert texts[part.document_id][original - 1][:400] == line
                followed += 1
        assert material.place(len(material.lines) + 1) is None
    assert followed > 40


def test_unchanged_documents_make_the_same_record_in_another_commit(store: Store, make_split: MakeSplit) -> None:
    first, second = document("docs/engine.md", ENGINE), document("docs/tank.md", ENGINE.replace("engine", "reactor"))
    later = first.model_copy(update={"revision": "b" * 40, "meta": {"committed_at": "2024-01-31T12:00:00Z"}})
    before = shown(store, make_split([first, second]))
    after = shown(store, make_split([later, second.model_copy(update={"text": second.text + "\nIt is red.\n"})]))
    assert before.keys() == after.keys()
    changed = {key for key in before if before[key].digest != after[key].digest}
    assert changed == {"octo/rocket/file/docs/tank.md#document/000001", "octo/rocket/folder/docs#folder/000001"}


@pytest.mark.parametrize(
    ("text", "questions"),
    [
        ("1. What is `a`?\n2) Why is it?\n- How?\n* **Who?**\n", ["What is `a`?", "Why is it?", "How?", "Who?"]),
        ('Here are the questions:\n\nQ1: "What is it?"\nWhat is it?\nThanks.', ["What is it?"]),
        ("There is nothing to ask.", []),
        ("", []),
    ],
)
def test_lists_are_read_without_numbers_and_bullets(text: str, questions: list[str]) -> None:
    assert prompts.listed(text, 4) == questions


@pytest.mark.parametrize(
    ("text", "body", "lines"),
    [
        ("It burns.\nLines: 3-5", "It burns.", (3, 4, 5)),
        ("Answer: It burns.\n\n**Lines:** 3, 7 and 9.", "It burns.", (3, 7, 9)),
        ("It burns.\n(Line 4)", "It burns.", (4,)),
        ("It burns.\nlines 2 to 3\n\nIs there more?", "It burns.", (2, 3)),
        ("It draws lines: 3 of them.", "It draws lines: 3 of them.", None),
        ("Lines: 9", "", (9,)),
    ],
)
def test_answers_name_their_lines(text: str, body: str, lines: tuple[int, ...] | None) -> None:
    assert prompts.answered(text) == (body, lines)


MATERIAL = Material(
    id="octo/rocket/file/docs/engine.md#document/000001",
    form="document",
    repo="octo/rocket",
    about="the file `docs/engine.md` of `rocket`",
    name="`docs/engine.md`",
    manners=(Manner.WHY,),
    questions=2,
    parts=(Part(document_id="octo/rocket/file/docs/engine.md", first=1, last=9, begins=1),),
    text=ENGINE,
)
WHY = "Why does `docs/engine.md` say to run `make burn_engine`?"


def turn(answer: str = GOOD, question: str = WHY, again: str = GOOD, closed: str = "I do not know.") -> Turn:
    texts = {"answer": answer, "again": again, "closed": closed}
    return Turn(question=question, **{name: Said(text=text, finished=True) for name, text in texts.items()})


def about(*turns: Turn, manner: Manner = Manner.WHY) -> Written:
    return Written(
        id=f"{MATERIAL.id}/{manner}",
        digest=digest(MATERIAL),
        manner=manner,
        listing=Said(text="", finished=True),
        dialogues=(turns,) if turns else (),
    )


def kept_of(one: Written) -> tuple[Kept, list[Curated | Verdict]]:
    kept = Kept({MATERIAL.id: MATERIAL}, {"octo/rocket/file/docs/engine.md": "a" * 40}, "base", 2_000)
    return kept, list(kept.take(one))


def test_true_answer_becomes_a_dialogue_that_names_its_lines() -> None:
    kept, (made,) = kept_of(about(turn()))
    assert isinstance(made, Curated)
    one = made.dialogue
    assert one.messages[1].content == "A cold engine stalls, so run `make burn_engine` before launch."
    assert (one.method, one.kind, one.split, one.provenance.span) == ("study", "study-why", "train", (7, 7))
    assert (one.provenance.document_id, one.provenance.model) == ("octo/rocket/file/docs/engine.md", "base")
    assert (kept.asked[Manner.WHY], kept.kept[Manner.WHY]) == (1, 1)


CIRCLE = "It runs before launch to heat the engine. " * 4


@pytest.mark.parametrize(
    ("reason", "written"),
    [
        ("no-questions", about()),
        ("cut-at-limit", about(turn().model_copy(update={"answer": Said(text=GOOD, finished=False)}))),
        ("not-said", about(turn("NOT SAID"))),
        ("no-lines", about(turn("A cold engine stalls, so run `make burn_engine`."))),
        ("lines-not-shown", about(turn("A cold engine stalls.\nLines: 40-41"))),
        ("lines-not-shown", about(turn("A cold engine stalls.\nLines: 0"))),
        ("runs-in-circles", about(turn(f"{CIRCLE}\nLines: 7"))),
        ("about-the-excerpt", about(turn("The snippet above runs `make burn_engine`.\nLines: 7"))),
        ("about-the-excerpt", about(turn("As line 7 says, a cold engine stalls.\nLines: 7"))),
        ("confirms-the-error", about(turn("Yes, a cold engine stalls.\nLines: 7"), manner=Manner.MISUNDERSTANDING)),
        ("no-subject", about(turn(question="Why does it have to run before the launch?"))),
        ("unknown-identifier", about(turn("Because `heatEngine` fails when it is cold.\nLines: 7"))),
        ("unknown-number", about(turn("A cold engine stalls after 45 seconds.\nLines: 7"))),
        ("language", about(turn("Der Motor ist kalt und die Turbine wird nicht mit dem Befehl für das Ventil auf den "
                                "Weg zu der Rampe gebracht, und das ist nicht zu werden.\nLines: 7"))),
        ("lines-say-otherwise", about(turn("A cold engine stalls, so run `make burn_engine`.\nLines: 3",
                                           question="Why does `docs/engine.md` want a warm engine?"))),
        ("answers-disagree", about(turn(again="Because the tank leaks and everybody wants fuel.\nLines: 3"))),
        ("answers-disagree", about(turn(again="NOT SAID"))),
        ("known-without", about(turn(closed="A cold engine stalls, so run make burn_engine before launch."))),
    ],
)  # fmt: skip
def test_whatever_fails_a_check_costs_a_verdict(reason: str, written: Written) -> None:
    kept, (made,) = kept_of(written)
    assert isinstance(made, Verdict), made
    assert made.reason == reason, made
    assert kept.reasons[reason] == kept.asked.total() == 1
    assert not kept.kept


def test_conversation_stands_or_falls_as_a_whole() -> None:
    later = turn(
        "It opens at 250 degrees.\nLines: 8", "And when does the valve open?", "At 250 degrees it opens.\nLines: 8"
    )
    _, (made,) = kept_of(about(turn(), later, manner=Manner.CONVERSATION))
    assert isinstance(made, Curated)
    assert [message.role for message in made.dialogue.messages] == ["user", "assistant"] * 2
    assert made.dialogue.messages[3].content == "It opens at 250 degrees."
    _, (made,) = kept_of(about(turn(), turn("NOT SAID", "And when?"), manner=Manner.CONVERSATION))
    assert isinstance(made, Verdict)
    assert made.reason == "not-said"


def test_material_of_a_held_out_document_is_refused() -> None:
    with pytest.raises(RecordError, match=r"shows octo/rocket/file/docs/engine\.md, which is held out"):
        Kept({MATERIAL.id: MATERIAL}, {}, "base", 2_000)


def test_more_than_the_allowed_share_of_rejections_ends_the_run_with_its_reasons() -> None:
    kept, _ = kept_of(about(turn()))
    for written in [about(turn("NOT SAID"))] * 15 + [about()] * 4:
        list(kept.take(written))
    with pytest.raises(RecordError, match=r"of 20 written dialogues 19 were rejected \(not-said 15, no-questions 4\)"):
        kept.refuse_too_many(0.6)
    kept.refuse_too_many(0.95)


def test_likeness_counts_words_that_are_not_frequent() -> None:
    assert likeness("the engine is cold", "a cold engine") == 1.0
    assert likeness("the engine", "the tank") == 0.0


class Model:
    """Writes what a model might, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: dict[str, list[tuple[str, tuple[Message, ...]]]] = {}

    def __call__(
        self, name: str, asked: Sequence[tuple[str, tuple[Message, ...]]], limit: int, sampled: bool
    ) -> list[Said]:
        assert sampled == name.endswith("again")
        self.asked[name] = list(asked)
        return [Said(text=self._text(name, key, messages), finished=True) for key, messages in asked]

    def _text(self, name: str, key: str, messages: tuple[Message, ...]) -> str:
        if name == "lists":
            return f"1. {WHY}\n2. And when does the valve open?\n3. At how many degrees?"
        return "I do not know." if key.endswith("/closed") else GOOD


def test_model_lists_then_answers_twice_with_the_material_and_once_without() -> None:
    model = Model()
    asked = {f"m/{manner}": (MATERIAL, manner) for manner in (Manner.WHY, Manner.CONVERSATION)}
    why, talk = write_portion(asked, WritingParams(), model)
    assert [len(one.dialogues) for one in (why, talk)] == [2, 1]
    assert [one.question for one in talk.dialogues[0]] == [
        WHY, "And when does the valve open?", "At how many degrees?",
    ]  # fmt: skip
    assert {name: len(one) for name, one in model.asked.items()} == {
        "lists": 2, "0-answers": 6, "0-again": 3, "1-answers": 2, "1-again": 1, "2-answers": 2, "2-again": 1,
    }  # fmt: skip
    opened = dict(model.asked["2-answers"])
    with_material, closed = opened["m/conversation/0"], opened["m/conversation/0/closed"]
    assert with_material[0].content.startswith("The lines of the file `docs/engine.md` of `rocket`")
    assert with_material[1].content == GOOD
    assert "burners" not in "".join(one.content for one in closed)
    assert closed[1].content == prompts.answered(GOOD)[0]
    assert not any("Lines:" in one.content for one in closed)


@step("synthesis/written", "test")
def said(run: StepRun, lines: list[str]) -> None:
    run.write(Written.model_validate_json(line) for line in lines)


def test_written_dialogues_stand_beside_the_templates(store: Store, make_split: MakeSplit) -> None:
    documents = make_split([document("docs/engine.md", ENGINE)], [page(1)])
    shown_calls = calls.direct(store, documents=documents, params=CallParams(manners=(Manner.WHY,)))
    (material,) = read_records(store, shown_calls, Material)
    (one,) = write_portion({f"{material.id}/why": (material, Manner.WHY)}, WritingParams(), Model())
    inputs = {"documents": documents, "facts": facts.direct(store, documents=documents), "calls": shown_calls}
    params = SynthesisParams(methods=("page_instruction", "study"), quotas=None)
    made = dialogues.direct(store, **inputs, written=said.direct(store, lines=[one.line()]), params=params)
    methods = [one.method for one in read_records(store, made, Dialogue)]
    assert sorted(methods) == ["page_instruction", "page_instruction", "study"]
    assert made.counts["written:study-why"] == 2
    assert made.counts["true:study-why"] == 1
    assert reasons(made)["no-subject"] == 1
    assert "And when does the valve open?" in next(iter(read_verdicts(store, made))).detail


@pytest.mark.parametrize(
    ("providers", "methods", "says"),
    [
        ({"study": "openai"}, ["study"], r"providers.study: `openai` cannot do it; choose `local` or `auto`"),
        ({"page_qa": "local"}, ["page_qa"], r"providers.page_qa: `local` cannot do it; choose `template` or `openai`"),
        ({"study": "local"}, ["facts"], r"providers.study: the method is not in synthesis.methods; add it there"),
    ],
)
def test_provider_that_cannot_make_a_method_is_refused(providers: object, methods: object, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        SynthesisParams.model_validate({"providers": providers, "methods": methods})


def test_methods_have_providers_of_their_own() -> None:
    params = SynthesisParams.model_validate(
        {"methods": ["facts", "page_qa", "study"], "providers": {"page_qa": "openai"}, "model": "x"}
    )
    assert (params.by("template"), params.by("openai"), params.studies) == (["facts"], ["page_qa"], "auto")
    assert SynthesisParams().studies is None
