"""Facts of pull requests and pages: found in small texts, and on this repository's own pages held against the text."""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tasks.base.records import Dialogue, Document, Kind
from tasks.base.runs import read_records
from tasks.base.store import Store
from tasks.synthesis.facts.step import facts
from tasks.synthesis.params import SynthesisParams
from tasks.text.facts import Fact
from tests.synthesis.conftest import MakeSplit, dialogues_of, document

ROOT = Path(__file__).resolve().parents[2]

TANK = document("src/tank.ts", "export function readTank(fuel: string): number {\n\treturn 1;\n}\n")


def pull(number: int, title: str, text: str = "", **meta: Any) -> Document:
    found = document(str(number), text, Kind.PULL, number=number, author="ana", **meta)
    return found.model_copy(update={"title": title})


def patched(path: str, patch: str) -> dict[str, Any]:
    return {"path": path, "status": "modified", "previous_path": None, "patch": patch}


def of(store: Store, make_split: MakeSplit, *documents: Document) -> list[Fact]:
    return list(read_records(store, facts.direct(store, documents=make_split(documents)), Fact))


def kinds(records: list[Fact], kind: str) -> list[tuple[str, tuple[str, ...]]]:
    return sorted((record.subject, record.values) for record in records if record.kind == kind)


CHANGE = pull(
    7,
    "Burn kerosene",
    "## What does this change?\n\nKerosene leaves no ash in the valves of the engine. It is cheaper, too.\n\n"
    "- [ ] I have tested it\n\nCo-authored-by: Bo\n",
    merged_at="2023-11-03T00:00:00Z",
    commits=[
        {"sha": "a", "message": "Add the kerosene tank\n\nmore"},
        {"sha": "b", "message": "wip"},
        {"sha": "c", "message": "Raise the limit of the engine"},
    ],
    reviews=[],
    review_comments=[
        {
            "id": 1,
            "author": "bo",
            "path": "src/tank.ts",
            "body": "Please keep the old interface of the tank as it is.",
            "in_reply_to": None,
        },
        {
            "id": 2,
            "author": "ana",
            "path": "src/tank.ts",
            "body": "Done, the interface has not changed at all.",
            "in_reply_to": 1,
        },
    ],
    files=[
        patched("package.json", '@@ -1 +1 @@\n-    "@rocket/fuel": "1.0.0",\n+    "@rocket/fuel": "2.0.0",'),
        patched(
            "src/tank.ts",
            "@@ -1,3 +1,7 @@\n+export function readTank(fuel: string): number {\n+\treturn 1;\n+}\n"
            "-const oldLimit = 3;\n+const newLimit = 3;\n context\n-\tlimit: 30,\n+\tlimit: 50,\n \n"
            "-if (count == 3) {\n+if (count == 4) {",
        ),
    ],
)


def test_pull_request_says_what_changed_came_and_went_and_why(store: Store, make_split: MakeSplit) -> None:
    records = of(store, make_split, CHANGE, TANK)
    assert kinds(records, "change") == [("@rocket/fuel", ("1.0.0", "2.0.0")), ("limit", ("30", "50"))]
    assert kinds(records, "rename") == [("oldLimit", ("newLimit",))]
    assert kinds(records, "symbols-added") == [("#7", ("readTank", "newLimit"))]
    assert kinds(records, "symbols-removed") == [("#7", ("oldLimit",))]
    assert kinds(records, "introduction") == [("readTank", ("#7",))]
    assert kinds(records, "reason") == [
        ("#7", ("Kerosene leaves no ash in the valves of the engine.", "It is cheaper, too."))
    ] or kinds(records, "reason") == [("#7", ("Kerosene leaves no ash in the valves of the engine.",))]
    assert kinds(records, "commits") == [("#7", ("Add the kerosene tank", "Raise the limit of the engine"))]
    (review,) = [record for record in records if record.kind == "review"]
    assert review.words["answered"] == "ana answered: Done, the interface has not changed at all."
    assert kinds(records, "file-history") == [("src/tank.ts", ("#7 “Burn kerosene”, merged on 2023-11-03",))]


def test_what_moves_out_of_a_function_or_stands_on_a_page_is_not_new(store: Store, make_split: MakeSplit) -> None:
    files = [
        patched(
            "src/tank.ts",
            "@@ -1,3 +1,4 @@\n-\tconst drain = (fuel) => fuel;\n+function drain(fuel) {\n+function fill() {",
        ),
        patched("docs/tank.md", "@@ -1 +1,2 @@\n+class Example:\n"),
    ]
    moved = pull(8, "Burn kerosene.", "Burn kerosene.\n", merged_at="2023-11-03T00:00:00Z", files=files)
    records = of(store, make_split, moved)
    assert kinds(records, "symbols-added") == [("#8", ("fill",))]
    assert not kinds(records, "reason"), "it says no more than its title"
    assert kinds(records, "pull") == [("#8", ("Burn kerosene",))]


def test_bots_pull_request_is_told_of_only_as_a_change_of_a_file(store: Store, make_split: MakeSplit) -> None:
    bare = [file | {"patch": None} for file in CHANGE.meta["files"]]
    bumped = pull(9, "Bump the tank", merged_at="2023-12-01T00:00:00Z", bot=True, files=bare)
    records = of(store, make_split, CHANGE, TANK, bumped)
    assert not [record for record in records if record.document_id == bumped.id]
    ((_, told),) = kinds(records, "file-history")
    assert told == ("#7 “Burn kerosene”, merged on 2023-11-03", "#9 “Bump the tank”, merged on 2023-12-01")
    (history,) = [record for record in records if record.kind == "file-history"]
    assert history.words["first"] == "#7", "of earlier pull requests nothing is known"


def test_pull_request_without_a_patch_is_not_asked_for_all_that_it_adds(store: Store, make_split: MakeSplit) -> None:
    files = [*CHANGE.meta["files"], {"path": "src/long.ts", "status": "modified", "patch": None}]
    records = of(store, make_split, CHANGE.model_copy(update={"meta": CHANGE.meta | {"files": files}}), TANK)
    assert not kinds(records, "symbols-added")
    (told,) = [record for record in records if record.kind == "pull"]
    assert told.words["files"] == "3"
    assert not told.words["added"]


def test_history_with_a_held_out_pull_request_is_not_told(store: Store, make_split: MakeSplit) -> None:
    later = pull(8, "Cool the tank", merged_at="2023-12-01T00:00:00Z", files=CHANGE.meta["files"])
    made = facts.direct(store, documents=make_split([CHANGE, TANK], [later]))
    found = list(read_records(store, made, Fact))
    assert not kinds(found, "file-history")
    assert not kinds(found, "introduction"), "both add it"


def test_lines_of_the_descriptions_template_are_no_reasons(store: Store, make_split: MakeSplit) -> None:
    same = "Please describe here why you want to change it."
    why = [f"Rocket {number} needs this for its flight." for number in range(1, 5)]
    pulls = [pull(number, f"Change {number}", f"{same}\n\n{text}") for number, text in enumerate(why, 1)]
    assert {value for _, values in kinds(of(store, make_split, *pulls), "reason") for value in values} == set(why)


def test_introduction_of_what_two_pull_requests_add_is_not_told(store: Store, make_split: MakeSplit) -> None:
    twice = CHANGE.model_copy(update={"id": CHANGE.id.replace("/7", "/8"), "path": "8"})
    assert kinds(of(store, make_split, CHANGE, twice, TANK), "introduction") == []


PAGE = """# Fuel

## Kinds of fuel

The kerosene is a fuel that comes from oil and burns well.
More specifically, if a tank is the last of a row then it holds less.

| Fuel | Heat | Price |
| --- | --- | --- |
| kerosene | 43 MJ | 1 |
| coal \\| coke | 30 MJ | - |

## Options

- **limit**: how much the tank may hold
  before the valve opens by itself
- `speed` - litres that pass in a second of time
"""

RECORD = """# 3. Burn kerosene

## Context

Coal left ash in every valve.

## Decision

We burn kerosene from now on.

## Consequences

Tanks have to be replaced.
"""

CHANGES = """# Changelog

## 1.1.0 (3rd May, 2024)

### Added

* A valve that opens by itself. (#12)
* Support for kerosene in all engines.

### Fixed

* The `fuel` gauge shows litres again.

## 1.0.0

* The first release of the rocket.
* The fuel gauge shows litres again.
"""


def test_page_says_what_it_defines_tabulates_and_lists(store: Store, make_split: MakeSplit) -> None:
    records = of(store, make_split, document("docs/fuel.md", PAGE))
    assert kinds(records, "definition") == [
        ("the kerosene", ("The kerosene is a fuel that comes from oil and burns well.",))
    ]
    cells = {
        (record.subject, record.words["column"]): record.values[0] for record in records if record.kind == "table-cell"
    }
    assert cells == {
        ("kerosene", "Heat"): "43 MJ",
        ("kerosene", "Price"): "1",
        ("coal | coke", "Heat"): "30 MJ",
    }
    assert kinds(records, "term") == [
        ("limit", ("how much the tank may hold before the valve opens by itself",)),
        ("speed", ("litres that pass in a second of time",)),
    ]


def test_record_of_a_decision_and_changelog(store: Store, make_split: MakeSplit) -> None:
    records = of(store, make_split, document("docs/adr/3.md", RECORD), document("CHANGELOG.md", CHANGES))
    assert kinds(records, "decision") == [("Burn kerosene", ("We burn kerosene from now on.",))]
    assert kinds(records, "decision-context") == [("Burn kerosene", ("Coal left ash in every valve.",))]
    assert kinds(records, "decision-consequence") == [("Burn kerosene", ("Tanks have to be replaced.",))]
    assert ("1.1.0", ("A valve that opens by itself.", "Support for kerosene in all engines.")) in kinds(
        records, "changelog"
    )
    assert ("A valve that opens by itself", ("1.1.0",)) in kinds(records, "changelog-version")
    assert not [subject for subject, _ in kinds(records, "changelog-version") if "gauge" in subject], "two versions did"
    alone = {(one.subject, len(one.values)) for one in records if one.kind == "changelog" and one.words["alone"]}
    assert alone == {("1.0.0", 2), ("1.1.0", 3)}, "a part of a version is not asked for as the version"
    assert kinds(records, "release-date") == [("1.1.0", ("3rd May, 2024",))]


def test_facts_of_this_repositorys_pages_stand_in_their_lines(store: Store, make_split: MakeSplit) -> None:
    paths = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
    documents = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in paths}
    records = of(store, make_split, *(document(path, text) for path, text in documents.items()))
    wrong = []
    for record in records:
        text = documents[record.document_id.partition("/file/")[2]]
        lines = " ".join("\n".join(text.split("\n")[record.span[0] - 1 : record.span[1]]).split())
        if record.kind != "section-place" and not all(_letters(value) in _letters(lines) for value in record.values):
            wrong.append((record.kind, record.subject, record.values))
    assert wrong == []
    assert Counter(record.kind for record in records)["section"] > 20


def _letters(text: str) -> str:
    """A text without markup: links lose their targets."""
    return re.sub(r"\W+", "", re.sub(r"\]\([^()]*\)", "]", text))


def test_refusals_are_worded_like_facts_and_about_nothing_that_is_there(store: Store, make_split: MakeSplit) -> None:
    sources = [
        document(path.relative_to(ROOT).as_posix(), path.read_text())
        for path in sorted((ROOT / "tasks/base").glob("*.py"))
    ]
    params = SynthesisParams(methods=("facts", "near_miss"), near_miss_fraction=0.1, quotas=None)
    made = dialogues_of(store, documents=make_split(sources), params=params)
    refusals = [one for one in read_records(store, made, Dialogue) if one.kind == "refusal"]
    assert 0.07 < len(refusals) / made.counts["records"] < 0.13
    everything = "\n".join(source.text for source in sources)
    for one in refusals:
        (name,) = re.findall(r"`([^`]+)`", one.messages[1].content)
        assert f"`{name}`" in one.messages[0].content
        assert not re.search(rf"\b{name.rpartition('.')[2]}\b", everything)


def test_later_versions_and_pull_requests_are_refused_with_the_last_that_is_known(
    store: Store, make_split: MakeSplit
) -> None:
    params = SynthesisParams(methods=("facts", "near_miss"), near_miss_fraction=0.3, quotas=None)
    sources = [document("CHANGELOG.md", CHANGES), *(pull(number, f"Change {number}") for number in range(10, 60))]
    made = dialogues_of(store, documents=make_split(sources), params=params)
    refusals = [one for one in read_records(store, made, Dialogue) if one.kind == "refusal"]
    versions = [one for one in refusals if one.provenance.document_id.endswith("CHANGELOG.md")]
    asked = {number for one in versions for number in re.findall(r"\b1\.\d+\.0", one.messages[0].content)}
    assert asked
    assert not asked & {"1.0.0", "1.1.0"}
    assert all("1.1.0" in one.messages[1].content or "there is no" in one.messages[1].content for one in versions)
    later = [one for one in refusals if (n := re.search(r"#(\d+)", one.messages[0].content)) and int(n[1]) > 59]
    assert later
    assert all("#59" in one.messages[1].content for one in later)


@pytest.mark.slow
def test_words_and_numbers_of_a_question_do_not_tell_the_made_up_from_the_real(
    store: Store, make_split: MakeSplit
) -> None:
    """A naive Bayes classifier on words, shapes, lengths and digits, asked about questions that it has not seen."""
    folders = ("tasks/base", "tasks/text", "tasks/corpus")
    sources = [
        document(path.relative_to(ROOT).as_posix(), path.read_text())
        for folder in folders
        for path in sorted((ROOT / folder).glob("*.py"))
    ]
    pulls = [pull(100 + 3 * number, f"Change the part {number} of the engine") for number in range(60)]
    params = SynthesisParams(methods=("facts", "near_miss"), near_miss_fraction=0.3, quotas=None)
    made = dialogues_of(store, documents=make_split([*sources, *pulls]), params=params)
    records = list(read_records(store, made, Dialogue))
    made_up = [one.messages[0].content for one in records if one.kind == "refusal"]
    answered: dict[str, dict[str, str]] = {}
    for one in records:
        if one.kind != "refusal":
            text = one.messages[0].content
            answered.setdefault(_shape(text), {}).setdefault("".join(re.findall(r"`[^`]*`|#\d+", text)), text)
    draw = random.Random(0)
    labelled: list[tuple[str, bool]] = []
    for text in made_up:  # each beside a real question of the same words
        others = answered.get(_shape(text))
        if others:
            labelled += [(text, True), (others.pop(draw.choice(sorted(others))), False)]
    assert len(labelled) > 300
    draw.shuffle(labelled)
    right = sum(
        _guess(labelled[:at] + labelled[at + len(labelled) // 5 :], text) is label
        for at in range(0, len(labelled), len(labelled) // 5)
        for text, label in labelled[at : at + len(labelled) // 5]
    )
    assert right / len(labelled) <= 0.6


@lru_cache(maxsize=8)
def _counts(known: tuple[tuple[str, bool], ...]) -> tuple[Counter[str], Counter[str]]:
    made_up: Counter[str] = Counter()
    real: Counter[str] = Counter()
    for text, label in known:
        (made_up if label else real).update(_features(text))
    return made_up, real


def _guess(known: list[tuple[str, bool]], text: str) -> bool:
    """Naive Bayes with add-one smoothing."""
    made_up, real = _counts(tuple(known))
    odds = 0.0
    for feature in _features(text):
        odds += math.log((made_up[feature] + 1) / (real[feature] + 1) * (real.total() + 1) / (made_up.total() + 1))
    return odds > 0


def _shape(text: str) -> str:
    return re.sub(r"`[^`]*`|#\d+", "X", text)


def _features(text: str) -> set[str]:
    """Words and pairs of words without the names; of the names style, number of parts, length and digits."""
    words = re.findall(r"\w+|[^\w\s]", _shape(text))
    found = {*words, *(f"{one} {two}" for one, two in pairwise(words))}
    for name, number in re.findall(r"`([^`]+)`|#(\d+)", text):
        parts = re.findall(r"[A-Z]?[a-z]+|[A-Z]+|\d+", name)
        found |= {f"parts={len(parts)}", f"length={len(name) // 5}", f"style={'_' in name} {name[:1].isupper()}"}
        found |= {f"digits={number[:2]}"} if number else set()
    return found
