"""The step `synthesis/facts`, the wordings of all kinds, and their grammar."""

from __future__ import annotations

from collections import Counter

import pytest

from tasks.base.artifacts import Artifact
from tasks.base.records import Dialogue, Document, Split
from tasks.base.runs import StepRun, read_records
from tasks.base.steps import step
from tasks.base.store import Store
from tasks.synthesis.facts.step import facts
from tasks.synthesis.params import SynthesisParams
from tasks.synthesis.wordings import WORDINGS
from tasks.synthesis.wordings.grammar import indicative, plural, said, slots, usable, with_article
from tasks.text.facts import Fact
from tests.synthesis.conftest import MakeSplit, dialogues_of, document
from tests.synthesis.grammar import faults
from tests.synthesis.test_code_facts import LANGUAGES

TANK = "from rocket.fuel import burn\n\n\ndef drain(tank: str, litres: int) -> int:\n    return burn(litres)\n"
FUEL = "def burn(litres: int) -> int:\n    return litres\n\n\ndef same() -> int:\n    return 1\n"
OTHER = (
    "def same() -> int:\n    return burn(2)\n\n\ndef burn_more(burn: object, litres: int) -> int:\n    return burn(2)\n"
)


def found_in(store: Store, made: object) -> list[Fact]:
    return list(read_records(store, made, Fact))  # type: ignore[arg-type]


def test_facts_of_both_sides_are_sorted_counted_and_never_cross_the_split(store: Store, make_split: MakeSplit) -> None:
    split = make_split(
        [document("rocket/tank.py", TANK), document("rocket/fuel.py", FUEL)], [document("rocket/other.py", OTHER)]
    )
    made = facts.direct(store, documents=split)
    records = found_in(store, made)
    assert [record.id for record in records] == sorted({record.id for record in records})
    counted = Counter(record.kind for record in records)
    assert {f"kind:{kind}": number for kind, number in counted.items()}.items() <= made.counts.items()
    (calls,) = [record for record in records if record.kind == "calls"]
    assert (calls.subject, calls.values, calls.language) == ("drain", ("burn",), "python")
    assert calls.rests_on == ("octo/rocket/file/rocket/fuel.py",)
    places = {record.subject: record.values for record in records if record.kind == "location"}
    assert places["burn"] == ("rocket/fuel.py",)
    assert "drain" not in places, "nothing else uses it"
    assert "same" not in places, "two files define it"
    assert {record.split for record in records if record.document_id.endswith("other.py")} == {Split.HELD_OUT}


@step("harvest/snapshot", "test")
def snapshot_of(run: StepRun, lines: list[str]) -> None:
    """All files of a repository at a commit, of their JSON lines."""
    run.write(sorted(map(Document.model_validate_json, lines), key=lambda record: record.id))


def test_list_that_lacks_a_file_of_the_snapshot_is_not_told_as_whole(store: Store, make_split: MakeSplit) -> None:
    fuel = document("rocket/fuel.py", FUEL)
    body = "import typer\n\nfrom rocket.fuel import burn\n\n\ndef {}_it() -> int:\n    return burn(1)\n"
    names = ("heat", "test_heat", "cool", "idle")
    users = [document(f"rocket/{name}.py", body.format(name)) for name in names]
    needs = document("pyproject.toml", '[project]\nname = "rocket"\ndependencies = ["typer>=1"]\n')
    top = document("rocket/top.py", "from rocket.heat import heat_it\nfrom rocket.idle import idle_it\n\nheat_it()\n")
    whole, every = make_split([fuel, *users, needs, top]), [fuel, *users, needs, top]
    snap = snapshot_of.direct(store, [one.line() for one in every])

    def told(split: Artifact) -> tuple[dict[tuple[str, str], Fact], int]:
        made = facts.direct(store, documents=split, snapshots=[snap])
        return {(one.kind, one.subject): one for one in found_in(store, made)}, made.counts["left_out"]

    found, left_out = told(whole)
    assert left_out == 0
    assert found["dependency-users", "typer"].values == ("rocket/cool.py", "rocket/heat.py", "rocket/idle.py")
    assert found["caller", "burn"].values == ("cool_it", "heat_it", "idle_it")
    assert found["caller", "burn"].words["tests"] == "yes"
    assert found["depends-on", "rocket/top.py"].values == ("rocket/heat.py", "rocket/idle.py")
    found, left_out = told(make_split([fuel, *(one for one in users if "idle" not in one.path), needs, top]))
    assert left_out == 1
    assert ("dependency-users", "typer") not in found
    assert ("caller", "burn") not in found
    assert found["caller-some", "burn"].values == ("cool_it", "heat_it")
    assert ("affected-files", "burn") not in found
    assert ("depends-on", "rocket/top.py") not in found
    assert not any("idle" in one.line() for one in found.values()), "nothing of it is told"


def test_what_the_list_leaves_out_of_tests_is_said(store: Store, make_split: MakeSplit) -> None:
    test = document("tests/test_fuel.py", "from rocket.fuel import burn\n\n\ndef test_it():\n    assert burn(1) == 1\n")
    split = make_split([document("rocket/tank.py", TANK), document("rocket/fuel.py", FUEL), test])
    made = dialogues_of(store, split, SynthesisParams(methods=("facts",), quotas=None))
    callers = [one.messages[1].content for one in read_records(store, made, Dialogue) if one.kind == "caller"]
    assert callers
    assert all(one.endswith("Tests use it, too.") for one in callers)


def test_hidden_secret_is_no_answer(store: Store, make_split: MakeSplit) -> None:
    key = document("rocket/key.py", 'LAUNCH_KEY = "[redacted:generic-secret]"\nLAUNCH_YEAR = 2031\n')
    made = facts.direct(store, documents=make_split([key]))
    assert [one.subject for one in found_in(store, made) if one.kind == "value"] == ["LAUNCH_YEAR"]
    assert made.counts["redacted"] >= 1


def test_facts_become_dialogues_of_their_kind_under_several_wordings(store: Store, make_split: MakeSplit) -> None:
    split = make_split([document("rocket/tank.py", TANK), document("rocket/fuel.py", FUEL)])
    made = dialogues_of(store, split, SynthesisParams(methods=("facts",), wordings=3))
    dialogues = list(read_records(store, made, Dialogue))
    called = [one for one in dialogues if one.kind == "calls" and "`drain`" in one.messages[0].content]
    assert len(called) == 3
    assert all("`burn`" in one.messages[1].content for one in called)
    about = [one for one in dialogues if one.kind == "location" and "`burn`" in one.messages[0].content]
    assert len(about) == 2, "a lookup has two wordings at most"
    assert all("`rocket/fuel.py`" in one.messages[1].content for one in about)
    assert made.counts["kind:location"] == sum(one.kind == "location" for one in dialogues)


def test_what_templates_say_has_no_faults_of_language(store: Store, make_split: MakeSplit) -> None:
    """Of small repositories in eight languages, with every wording."""
    files = [
        document(path, text, repo=f"octo/{language}")
        for language, known in LANGUAGES.items()
        for path, text in known.FILES.items()
    ]
    made = dialogues_of(store, make_split(files), SynthesisParams(wordings=8, quotas=None))
    found = [(one.kind, fault, one.messages) for one in read_records(store, made, Dialogue) for fault in faults(one)]
    assert not found[:5]
    assert made.counts["records"] > 2_000


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("Return the host and close it.", "It returns the host and closes it."),
        ("Base class of engines.", "Base class of engines."),
        ("List of engines.", "List of engines."),
        ("apply the brakes", "It applies the brakes"),
    ],
)
def test_orders_become_sentences(told: str, expected: str) -> None:
    assert indicative(told) == expected


@pytest.mark.parametrize("kind", sorted(WORDINGS))
def test_every_kind_has_fourteen_questions_and_several_answers_that_differ(kind: str) -> None:
    wording = WORDINGS[kind]
    assert len(set(wording.questions)) >= 14
    assert len(set(wording.answers)) >= 2
    assert all(slots(question) for question in wording.questions)


@pytest.mark.parametrize(
    ("noun", "expected"),
    [("interface", "an interface"), ("user", "a user"), ("function", "a function"), ("hour", "an hour"),
     ("enum", "an enum"), ("HTTP route", "an HTTP route"), ("constant", "a constant"), ("union", "a union")],
)  # fmt: skip
def test_article(noun: str, expected: str) -> None:
    assert with_article(noun) == expected


def test_number_and_capitals_and_missing_slots() -> None:
    assert said("{count:#file|files} {count:is|are} there", {"count": "1"}) == "One file is there"
    assert said("{count:#file|files} {count:is|are} there", {"count": "2"}) == "Two files are there"
    assert said("{thing!c} and {thing!p}", {"thing": "class"}) == "Class and classes"
    assert plural("property") == "properties"
    assert usable(("{a} {b}", "{a}"), {"a": "x", "b": ""}) == ["{a}"]
