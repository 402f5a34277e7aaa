"""Facts of code on small repositories of every language: what is known is found, what is not so is not said."""

from __future__ import annotations

import os
import subprocess
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from tasks.synthesis.facts import code
from tasks.synthesis.facts.corpus import corpora
from tasks.text.facts import Fact
from tests.synthesis.conftest import document
from tests.synthesis.repositories import csharp, go, java, php, python, ruby, rust, typescript
from tests.synthesis.verifier import Texts, checked, wrong

LANGUAGES = {
    module.__name__.rsplit(".", 1)[-1]: module for module in (csharp, go, java, php, python, ruby, rust, typescript)
}


def facts_of(folder: Path, files: dict[str, str], held_out: dict[str, str] | None = None) -> list[Fact]:
    """Facts of both sides of a split that holds the files."""
    for name, found in (("train.jsonl", files), ("held_out.jsonl", held_out or {})):
        records = sorted((document(path, text) for path, text in found.items()), key=lambda record: record.id)
        (folder / name).write_text("".join(record.line() + "\n" for record in records))
    return [
        fact for side in corpora(folder, (code.FAMILY,)) for one in side.documents() for fact in code.facts(one, side)
    ]


def documents_of(files: dict[str, str]) -> Texts:
    return {one.id: one for path, text in files.items() for one in [document(path, text)]}


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_small_repository(language: str, tmp_path: Path) -> None:
    known = LANGUAGES[language]
    found = facts_of(tmp_path, known.FILES)
    values: dict[tuple[str, str], set[str]] = {}
    for fact in found:
        values.setdefault((fact.kind, fact.subject), set()).update(fact.values)
    missing = {key: (expected, values.get(key)) for key, expected in known.FACTS.items() if values.get(key) != expected}
    assert not missing
    assert not known.ABSENT & values.keys()
    assert len({fact.id for fact in found}) == len(found)


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_nothing_is_wrong_from_the_other_side(language: str, tmp_path: Path) -> None:
    files = LANGUAGES[language].FILES
    found = facts_of(tmp_path, files)
    assert not [(fact.kind, fact.subject, reason) for fact in found if (reason := wrong(fact, documents_of(files)))]
    assert not {fact.kind for fact in found if not checked(fact.kind)}


ANGULAR = {
    "src/app/app.routes.ts": """import { Routes } from '@angular/router';
import { FlightListComponent } from './flight-list.component';

export const routes: Routes = [
  { path: 'flights', component: FlightListComponent, canActivate: [] },
  { path: 'pads', loadComponent: () => import('./pad.component').then((m) => m.PadComponent) },
  { path: 'old', redirectTo: 'flights' },
];
""",
    "src/app/flight-list.component.ts": """import { Component, Input } from '@angular/core';

@Component({ selector: 'app-flight-list', template: '<p>flights</p>' })
export class FlightListComponent {
  @Input() airline: string = '';

  reload(): void {}
}
""",
    "src/app/pad.component.ts": """import { Component } from '@angular/core';

@Component({ selector: 'app-pad', template: '<p>pad</p>' })
export class PadComponent {}
""",
}


def test_routes_of_angular_show_components_loaded_at_once_and_later(tmp_path: Path) -> None:
    found = facts_of(tmp_path, ANGULAR)
    shown = {fact.subject: fact.values for fact in found if fact.kind == "ui-route"}
    assert shown == {"/flights": ("FlightListComponent",), "/pads": ("PadComponent",)}
    assert not [(fact.kind, reason) for fact in found if (reason := wrong(fact, documents_of(ANGULAR)))]


def test_types_of_a_file_are_told_apart_by_their_fields(tmp_path: Path) -> None:
    files = {
        "src/fuel.ts": "export interface TankFuel {\n\tname: string;\n\tlitres: number;\n\tash?: boolean;\n}\n\n"
        "export interface SpareFuel {\n\tname: string;\n\tlitres: string;\n\tshelf: number;\n}\n\n"
        "export interface Crew {\n\tname: string;\n\tage: number;\n}\n"
    }
    found = facts_of(tmp_path, files)
    (told,) = [fact for fact in found if fact.kind == "difference"]
    assert (told.subject, told.words["other"]) == ("TankFuel", "SpareFuel")
    assert told.values == (
        "Both have `name` and `litres`.",
        "Only `TankFuel` has `ash`.",
        "Only `SpareFuel` has `shelf`.",
        "`litres` is `number` in `TankFuel` and `string` in `SpareFuel`.",
        "Both are in `src/fuel.ts`.",
    )
    assert not wrong(told, documents_of(files))


def test_what_a_type_inherits_is_said_to_come_on_top(tmp_path: Path) -> None:
    files = {
        "src/fuel.ts": "export interface Fuel {\n\tname: string;\n\tash?: boolean;\n}\n\n"
        "export interface Kerosene extends Omit<Fuel, 'ash'> {\n\theat: number;\n\tprice?: number;\n}\n"
    }
    told = {(one.kind, one.subject): one.words.get("inherited") for one in facts_of(tmp_path, files)}
    assert told["type", "Kerosene"] == "What `Omit<Fuel, 'ash'>` has comes on top."
    assert told["optional-fields", "Kerosene"] == told["type", "Kerosene"]
    assert not told["type", "Fuel"]


STARS = {
    "rocket/__init__.py": "from .engine import *\nfrom .parts import *\n",
    "rocket/engine.py": "from .tank import drain\n\n__all__ = [\n    'Engine',\n]\n\n\n"
    "class Engine:\n    def run(self):\n        return drain(spill())\n\n\ndef spill():\n    return 1\n",
    "rocket/tank.py": "def drain(litres):\n    return litres\n",
    "rocket/parts/__init__.py": "from .pipe import Pipe\nfrom .valve import *\n",
    "rocket/parts/pipe.py": "class Pipe:\n    def bend(self):\n        return 1\n",
    "rocket/parts/valve.py": "class Valve:\n    def open(self):\n        return _turn()\n\n\n"
    "def _turn():\n    return 1\n",
}


def test_import_of_everything_takes_what_the_module_gives_and_no_more(tmp_path: Path) -> None:
    found = facts_of(tmp_path, STARS)
    users = {one.subject: one.values for one in found if one.kind == "reverse-use"}
    assert users["Engine"] == ("rocket/__init__.py",)
    assert users["Valve"] == ("rocket/__init__.py", "rocket/parts/__init__.py"), "a package hands it on"
    assert users["Pipe"] == users["Valve"]
    assert not {"spill", "drain", "_turn"} & users.keys(), "`__all__` does not list them"
    assert not [(fact.kind, reason) for fact in found if (reason := wrong(fact, documents_of(STARS)))]
    (told,) = [one for one in found if one.kind == "reverse-use" and one.subject == "Engine"]
    made_up = told.model_copy(update={"subject": "spill", "document_id": told.document_id})
    assert wrong(made_up, documents_of(STARS)), "the other side reads `__all__`, too"


def test_walkthrough_profile_and_difference_join_what_is_known(tmp_path: Path) -> None:
    found = {(fact.kind, fact.subject): fact.values for fact in facts_of(tmp_path, LANGUAGES["typescript"].FILES)}
    assert found["route-walkthrough", "GET /api/engines/:id"] == (
        "`GET /api/engines/:id` is declared in `server/routes/engines.ts`.",
        "A request first passes `requireCrew`.",
        "It is handled by `proxy`, which `server/handlers.ts` defines.",
        "`proxy` is given `/upstream/engines/:id`, the address that it asks upstream.",
        "On the other side, `load` asks for it.",
    )


def test_a_wrong_fact_is_noticed_from_the_other_side(tmp_path: Path) -> None:
    files = LANGUAGES["python"].FILES
    by_kind, documents = {fact.kind: fact for fact in facts_of(tmp_path, files)}, documents_of(files)
    for kind, made_up in (("default", "True"), ("hierarchy", "OSError"), ("value", "901"), ("route", "nobody")):
        fact = by_kind[kind]
        words = fact.words | ({"written": made_up} if "written" in fact.words else {})
        assert wrong(fact.model_copy(update={"values": (made_up,), "words": words}), documents), kind
    caller = by_kind["caller"]
    assert wrong(caller.model_copy(update={"words": {"placed": "- `nobody` in `rocket/errors.py`"}}), documents)


def test_what_the_other_side_says_is_not_told(tmp_path: Path) -> None:
    files = dict(LANGUAGES["python"].FILES)
    held = {"rocket/api.py": files.pop("rocket/api.py")}
    found = facts_of(tmp_path, files, held)
    train = [fact for fact in found if not fact.document_id.endswith("rocket/api.py")]
    assert not [
        fact for fact in train if "rocket/api.py" in "".join((*fact.values, *fact.words.values(), *fact.rests_on))
    ]
    assert ("caller", "region") not in {(fact.kind, fact.subject) for fact in train}, "its only caller is held out"
    assert not [fact for fact in found if fact.document_id.endswith("rocket/api.py") and len(fact.rests_on) > 0]


REAL = [str(Path(__file__).parents[2]), *filter(None, os.environ.get("RAWTUNE_VERIFY", "").split(":"))]
"""This repository, and clones of others that are named in the environment."""


@pytest.mark.slow
@pytest.mark.parametrize("clone", REAL)
def test_real_repository_has_at_most_five_wrong_in_a_thousand(clone: str, tmp_path: Path) -> None:
    listed = subprocess.run(["git", "-C", clone, "ls-files", "-z"], capture_output=True, text=True, check=True).stdout
    files: dict[str, str] = {}
    for path in filter(None, listed.split("\0")):
        file = Path(clone, path)
        if file.is_file() and not file.is_symlink() and file.stat().st_size < 300_000:
            files[path] = file.read_bytes().decode("utf-8", "replace")
    found = facts_of(tmp_path, files)
    total = Counter(fact.kind for fact in found)
    reasons: dict[str, list[str]] = defaultdict(list)
    documents = documents_of(files)
    for fact in found:
        if reason := wrong(fact, documents):
            reasons[fact.kind].append(f"{fact.subject}: {reason}")
    assert len(found) > 1_000
    assert not {kind: some[:5] for kind, some in reasons.items() if len(some) > max(1, 0.005 * total[kind])}
