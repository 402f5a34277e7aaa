"""A repository on the emulated GitHub with everything that pull requests are known to have, and its harvest."""

import datetime
from dataclasses import dataclass
from pathlib import Path

from tasks.base.artifacts import Artifact
from tasks.base.records import Document
from tasks.base.runs import read_records
from tasks.base.store import Store
from tasks.harvest.params import GithubParams, ResolvedSource, Servers, SourceParams
from tasks.harvest.pulls import pulls
from tasks.harvest.resolve import resolve_source
from tasks.harvest.snapshot import snapshot
from tasks.harvest.wiki.pages import wiki
from tests.emulators.github_api import Comment, Event, Github, Pull, Repository, Review, User
from tests.harvest.histories import History, moment

NOW = datetime.datetime(2024, 6, 1, tzinfo=datetime.UTC)
TOKEN = "ghp_town"
Made = tuple[Artifact, Artifact, Artifact]
BOT = User("dependabot[bot]", "Bot")


@dataclass
class Town:
    """A repository on the emulated GitHub with everything that pull requests are known to have."""

    history: History
    repository: Repository
    trunk: int
    """Mark of the head of main."""


def source_file(number: int, edited: bool = False) -> bytes:
    lines = [f"def f{line}():\n    return {line}\n\n\n" for line in range(40)]
    if edited:
        lines[number % 40] = f"def f{number % 40}():\n    return {number} * 2\n\n\n"
    return "".join(lines).encode()


def build_town(folder: Path, count: int) -> Town:
    """Pull requests 1 to `count`, one a day: merged, squashed, open, closed, by bots and by people who left."""
    history = History()
    trunk = history.commit(
        "refs/heads/main", {"README.md": b"# Town\n", "app.py": source_file(0)}, 0, message="First\n"
    )
    marks = {}
    for number in range(1, count + 1):
        files = {"app.py": source_file(number, edited=True), f"docs/{number:03d}.md": f"# Page {number}\n".encode()}
        if number % 7 == 0:
            files |= {f"docs/{number - 6:03d}.md": None, "logo.png": b"\x89PNG\0" + bytes([number])}
        head = history.commit(
            f"refs/pull/{number}/head",
            files,
            number,
            [trunk],
            f"Edit {number}\n\nBecause of {number}.\n",
            f"Dev{number % 5}",
        )
        base, merge = trunk, None
        if number % 5 in (0, 1):
            merge = trunk = history.commit(
                "refs/heads/main",
                files,
                number + 0.5,
                [trunk, head],
                f"Merge pull request #{number} from a/b\n\nTitle {number}\n",
            )
        elif number % 5 == 2:
            merge = trunk = history.commit(
                "refs/heads/main", files, number + 0.5, [trunk], f"Title {number} (#{number})\n\nSquashed.\n"
            )
        marks[number] = (head, base, merge)
    history.write(folder)
    pulls = [_pull(history, number, *found) for number, found in marks.items()]
    remarks = [(900, Comment(5, User("someone"), moment(1), "on a plain issue"))]
    repository = Repository("town/hall", folder, pulls, issue_comments=remarks, id=77)
    return Town(history, repository, trunk)


def _pull(history: History, number: int, head: int, base: int, merge: int | None) -> Pull:
    comments = [
        Comment(
            number * 1000 + place,
            User(f"reader{place % 3}"),
            moment(number + 0.1 + place / 1000),
            f"Comment {place}\r\nof {number}",
        )
        for place in range(number % 4 if number % 50 else 130)
    ]
    return Pull(
        number=number,
        title=f"Title {number}",
        body=None if number % 6 == 0 else f"Body of {number}\r\n\r\n- `code`",
        head=history.shas[head],
        base=history.shas[base],
        created_at=moment(number),
        updated_at=moment(number + 0.7),
        user=None if number % 9 == 0 else BOT if number % 8 == 0 else User(f"dev{number % 5}"),
        state="closed" if merge or number % 5 == 3 else "open",
        merged_at=moment(number + 0.5) if merge else None,
        closed_at=moment(number + 0.5) if merge or number % 5 == 3 else None,
        merge_commit=history.shas[merge] if merge else None,
        draft=number % 11 == 0,
        head_repo=number % 3 != 0,
        labels=["zebra", "ant"] if number % 2 else [],
        comments=comments,
        reviews=_reviews(number),
        events=[Event("labeled", moment(number), name) for name in (("zebra", "ant") if number % 2 else ())],
    )


def _reviews(number: int) -> list[Review]:
    first = number * 1000 + 500
    remarks = []
    for place in range(number % 3 if number % 50 else 70):
        line = None if place % 2 else place + 1  # null: the line is gone from the newest version
        parent = first if place else None
        body, when = f"Line {place}?", moment(number + 0.2)
        hunk = f"@@ -1,2 +1,2 @@\n def f0():\n-    return {place}"
        remarks.append(Comment(first + place, User("critic"), when, body, "app.py", line, place + 1, parent, hunk))
    reviews = [
        Review(first, User("critic"), moment(number + 0.2), "", "COMMENTED", remarks),
        Review(first + 200, None, moment(number + 0.3), "Fine.", "APPROVED"),
        Review(first + 201, User("critic"), None, "not yet sent", "PENDING"),
    ]
    more = [
        Review(first + 210 + place, User("critic"), moment(number + 0.4), "Again", "CHANGES_REQUESTED")
        for place in range(60)
    ]
    return reviews[:2] + more if number % 50 == 0 else reviews[: number % 4]


def resolved(
    store: Store, github: Github, threads: str = "auto", seconds: float = 20, **source: object
) -> ResolvedSource:
    """The source as the emulated server has it; a request that takes longer than `seconds` is made again."""
    asked = SourceParams.model_validate({"repo": "town/hall", **source})
    quick = {"secondary_wait": 0.05, "max_wait": 30, "timeout": seconds}
    reached = {"api_url": github.url, "threads": threads, **quick}
    return resolve_source(asked, Servers(github=GithubParams.model_validate(reached)), NOW, store)


def harvest(store: Store, github: Github, threads: str = "auto", seconds: float = 20, **source: object) -> Made:
    found = resolved(store, github, threads, seconds, **source)
    assert found.pulls is not None
    assert found.wiki is not None
    asked = SourceParams.model_validate({"repo": "town/hall", **source})
    return (
        snapshot.direct(store, source=found.snapshot, params=asked.files),
        pulls.direct(store, source=found.pulls),
        wiki.direct(store, source=found.wiki),
    )


def documents(store: Store, artifact: Artifact) -> dict[int, Document]:
    return {item.meta["number"]: item for item in read_records(store, artifact, Document)}


def hashes(made: Made) -> list[str]:
    return [artifact.sha256 for artifact in made]
