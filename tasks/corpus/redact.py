"""corpus/redact: secrets, and if asked personal data, replaced in place by typed markers before any text can leave
for an API or into weights.

In: documents. Out: the same documents, hidden parts replaced by `[redacted:<rule>]`, in text, title, commits'
messages, diffs, comments and reviews. Each replacement is a verdict `redacted-<rule>` with part and line; neither
verdicts nor logs ever hold what was hidden.
"""

from __future__ import annotations

import ipaddress
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Any, Final

from tasks.base.artifacts import Artifact
from tasks.base.errors import RecordError
from tasks.base.records import Document
from tasks.base.runs import StepRun
from tasks.base.shards import LOCAL, RunnerParams, Shard, mapped, shards_of
from tasks.base.steps import step
from tasks.corpus.params import RedactParams
from tasks.text.secrets import find_secrets

VERSION: Final = "2026.11.30.4"

PERSONAL: Final = ("email", "ip")
"""Rules that are no secrets."""

_EMAIL: Final = re.compile(
    r"(?<![\w.+%-])[A-Za-z0-9][\w.+%-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])"
)
_EXAMPLE_DOMAIN: Final = re.compile(
    r"@(?:[\w-]+\.)*(?:example\.(?:com|org|net)|[\w-]+\.(?:example|invalid|test|localhost)|users\.noreply\.github\.com)$"
)
_IPV4: Final = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.])")
_IPV6: Final = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{1,4}(?![\w:.])")


@dataclass(frozen=True)
class Redaction:
    """One replacement."""

    rule: str
    part: str
    """`text`, `title`, `diff <path>`, `comment 3`, `review 1`, `review comment 2`, its hunk, or `commit 1`."""
    line: int
    """1-based, in that part as it was harvested."""


def redact_document(document: Document, params: RedactParams) -> tuple[Document, list[Redaction]]:
    """A document without what is to be hidden, and where it was."""
    found: list[Redaction] = []

    def clean(text: str | None, part: str, is_diff: bool = False) -> str | None:
        if not text:
            return text
        cleaned, places = redact_diff(text, params) if is_diff else redact_text(text, params)
        found.extend(Redaction(rule, part, line) for rule, line in places)
        return cleaned

    meta = dict(document.meta)
    for name in ("comments", "reviews", "review_comments"):
        if meta.get(name):
            part = name.removesuffix("s").replace("_", " ")
            meta[name] = [
                entry
                | {"body": clean(entry.get("body"), f"{part} {number}")}
                | ({"hunk": clean(entry["hunk"], f"hunk of {part} {number}", True)} if entry.get("hunk") else {})
                for number, entry in enumerate(meta[name], 1)
            ]
    if meta.get("commits"):
        meta["commits"] = [
            commit | {"message": clean(commit.get("message"), f"commit {number}")}
            for number, commit in enumerate(meta["commits"], 1)
        ]
    if meta.get("files"):
        meta["files"] = [
            file | {"patch": clean(file.get("patch"), f"diff {file['path']}", True)} for file in meta["files"]
        ]
    text, title = clean(document.text, "text"), clean(document.title, "title")
    return (document.model_copy(update={"text": text, "title": title, "meta": meta}) if found else document), found


def redact_text(text: str, params: RedactParams) -> tuple[str, list[tuple[str, int]]]:
    """A text without what is to be hidden, and (rule, line) of each place in order."""
    places = list(_places(text, params))
    return _replaced(text, places), [(rule, text.count("\n", 0, start) + 1) for start, _, rule in places]


def redact_diff(patch: str, params: RedactParams) -> tuple[str, list[tuple[str, int]]]:
    """The same for a unified diff, whose line marks would hide a private key of several lines from the rules."""
    lines = patch.split("\n")
    starts = list(accumulate((len(line[1:]) + 1 for line in lines), initial=0))
    marks = list(accumulate(int(bool(line)) for line in lines))  # marks taken off down to and with each line
    places = []
    for start, end, rule in _places("\n".join(line[1:] for line in lines), params):
        first, last = bisect_right(starts, start) - 1, bisect_right(starts, end) - 1
        places.append((start + marks[first], end + marks[last], rule))
    return _replaced(patch, places), [(rule, patch.count("\n", 0, start) + 1) for start, _, rule in places]


def redact_shard(params: RedactParams, shard: Shard) -> list[tuple[Document, list[Redaction]]]:
    """The documents of a shard without what is to be hidden, each with where it was."""
    return [redact_document(document, params) for document in shard.read(Document)]


@step("corpus/redact", VERSION)
def redact(run: StepRun, documents: Artifact, params: RedactParams, runner: RunnerParams = LOCAL) -> None:
    """Writes the documents without secrets and a verdict for each replacement.

    Raises:
        RecordError: a secret was found and the parameters ask to fail then.
    """

    def cleaned() -> Iterator[Document]:
        done = 0
        shards = shards_of(run.store, documents, size=runner.shard_bytes)
        for cleaned_shard in mapped(partial(redact_shard, params), shards, runner):
            for document, found in cleaned_shard:
                _report(run, document, found, params)
                yield document
            done += len(cleaned_shard)
            run.progress(done, documents.counts.get("records"), "documents")

    run.write(cleaned())


def _report(run: StepRun, document: Document, found: list[Redaction], params: RedactParams) -> None:
    for place in found:
        if params.secrets == "fail" and place.rule not in PERSONAL:
            raise RecordError(
                f"corpus/redact: {place.rule} in {document.id}, {place.part}, line {place.line}; "
                "remove it, ignore the rule (ignore_secrets) or set secrets to redact"
            )
        run.verdict(document.id, f"redacted-{place.rule}", f"{place.part}, line {place.line}")
    run.count("documents_redacted", bool(found))


def _places(text: str, params: RedactParams) -> Iterator[tuple[int, int, str]]:
    """(start, end, rule) in order, without overlap; secrets go before personal data."""
    found: list[tuple[int, int, str]] = []
    if params.secrets != "keep":
        found += [
            (secret.start, secret.end, secret.rule)
            for secret in find_secrets(text)
            if secret.rule not in params.ignore_secrets
        ]
    if "email" in params.personal:
        found += [
            (*match.span(), "email") for match in _EMAIL.finditer(text) if not _EXAMPLE_DOMAIN.search(match.group())
        ]
    if "ip" in params.personal:
        found += [
            (*match.span(), "ip")
            for pattern in (_IPV4, _IPV6)
            for match in pattern.finditer(text)
            if _is_personal(match.group())
        ]
    end = 0
    for place in sorted(found, key=lambda place: (place[0], place[2] in PERSONAL, -place[1])):
        if place[0] >= end:
            yield place
            end = place[1]


def _replaced(text: str, places: list[tuple[int, int, str]]) -> str:
    pieces: list[Any] = []
    done = 0
    for start, end, rule in places:
        pieces += [text[done:start], f"[redacted:{rule}]"]
        done = end
    return "".join([*pieces, text[done:]])


def _is_personal(text: str) -> bool:
    """Whether a text is an address of a host on the internet: private, loopback and documentation addresses name
    nobody.
    """
    try:
        return ipaddress.ip_address(text).is_global
    except ValueError:
        return False
