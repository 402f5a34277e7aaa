"""A person's own questions of how and why, each with the points that an answer must and must not contain.

The file (`evaluation.own`) is YAML, see docs/examples/httpx-questions.yaml. All its questions are asked, as the suite
`own`. An answer is marked by the judge if there is one, else by `coverage` of the points.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from tasks.base.errors import InputError
from tasks.base.records import Document, Item, Kind, Provenance
from tasks.evaluation.params import Suite

KIND: Final = "rubric"

VERSION: Final = "2026.11.30"

_PLACE = re.compile(r"(?P<path>.+?):(?P<first>\d+)(?:-(?P<last>\d+))?(?:,\d+(?:-\d+)?)*")


class Rubric(BaseModel):
    """One question."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    question: str = Field(min_length=1)
    must: tuple[str, ...] = Field(min_length=1)
    """Points of a right answer; the wordings of a point are divided by ` | `."""
    must_not: tuple[str, ...] = ()
    """What a right answer never says."""
    lines: str = ""
    """Where the source answers it, `path:first-last`; more ranges after commas, more files after semicolons."""

    @field_validator("lines")
    @classmethod
    def _are_places(cls, lines: str) -> str:
        for place in filter(None, lines.split(";")):
            if not _PLACE.fullmatch(place.strip()):
                raise ValueError(f"{place.strip()} is not path:first-last")
        return lines


class OwnFile(BaseModel):
    """The whole file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    repo: str | None = None
    """Whose lines these are, where the run has several sources: `OWNER/NAME` or `NAME`."""
    revision: str | None = None
    """Commit at which the rubrics were written; the run counts the questions that it asks at another."""
    questions: tuple[Rubric, ...] = Field(min_length=1)


def read_own(name: str) -> OwnFile:
    """The questions of a file.

    Raises:
        InputError: it cannot be read or is not such a file.
    """
    path = Path(name).expanduser()
    try:
        return OwnFile.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except OSError as error:
        raise InputError(f"evaluation.own: {path.name} cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        raise InputError(f"evaluation.own: {path.name} is not YAML{place} ({str(error).splitlines()[0]})") from error
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = ".".join(str(part + 1 if isinstance(part, int) else part) for part in problem["loc"]) or "file"
        raise InputError(
            f"evaluation.own: {path.name}, {place}: {problem['msg']}; docs/examples/httpx-questions.yaml shows the form"
        ) from error


def own_items(own: OwnFile, documents: Iterable[Document]) -> list[Item]:
    """The questions as items, in the file's order; questions whose source the snapshot does not have are left out."""
    name = (own.repo or "").rsplit("/", 1)[-1]
    files: dict[str, Document] = {}
    for document in documents:
        if document.kind is Kind.FILE and name in ("", document.repo.rsplit("/", 1)[-1]):
            files.setdefault(document.path, document)
    made = (_item(number, rubric, files) for number, rubric in enumerate(own.questions, 1))
    return [item for item in made if item is not None]


def coverage(answer: str, must: Sequence[Sequence[str]], must_not: Sequence[str]) -> float:
    """Share of the points that an answer contains; 0 if it contains what it must not.

    A point is met by any of its wordings, as it is written, not inside a longer word; case does not count.
    """
    given = " ".join(answer.split()).casefold()
    if any(_contains(given, wording) for wording in must_not):
        return 0.0
    return sum(any(_contains(given, wording) for wording in point) for point in must) / len(must)


def _contains(given: str, wording: str) -> bool:
    wanted = " ".join(wording.split()).casefold()
    before = r"(?<!\w)" if wanted[:1].isalnum() else ""
    after = r"(?!\w)" if wanted[-1:].isalnum() else ""
    return re.search(before + re.escape(wanted) + after, given) is not None


def _item(number: int, rubric: Rubric, files: dict[str, Document]) -> Item | None:
    places = [match for place in rubric.lines.split(";") if (match := _PLACE.fullmatch(place.strip()))]
    document = files.get(places[0]["path"]) if places else None
    if places and document is None:
        return None
    span = (int(places[0]["first"]), int(places[0]["last"] or places[0]["first"])) if places else (1, 1)
    document_id = document.id if document else f"own/{number:03d}"
    must = tuple(tuple(wording.strip() for wording in point.split(" | ")) for point in rubric.must)
    return Item(
        id=f"{document_id}#{Suite.OWN}/{number:03d}",
        suite=Suite.OWN,
        kind=KIND,
        question=rubric.question,
        answers=("; ".join(point[0] for point in must),),
        must=must,
        must_not=rubric.must_not,
        document_id=document_id,
        span=span,
        answerable=True,
        pair_id=None,
        provenance=Provenance(
            document_id=document_id,
            revision=document.revision if document else "",
            span=span,
            prompt_version=f"{KIND}/{VERSION}",
            model="person",
        ),
    )
