"""A small git repository with code, pages and pull requests, the same bytes wherever it is made."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

NOUNS = ("ledger", "parcel", "voucher", "tariff", "courier", "depot", "invoice", "refund", "basket", "customs", "label")
VERBS = ("open", "price", "sort", "route", "archive")


def git(folder: Path, *arguments: str, day: int = 1) -> str:
    """Runs git with a fixed identity and date (a day of January 2024)."""
    date = f"2024-01-{day:02d}T12:00:00Z"
    identity = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in _IDENTITY.items()}
    dates = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
    environment = os.environ | identity | dates | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    return subprocess.run(
        ["git", *arguments], cwd=folder, env=environment, check=True, capture_output=True, text=True
    ).stdout.strip()


_IDENTITY = {"NAME": "Ada", "EMAIL": "ada@example.org"}


def make_repository(folder: Path) -> Path:
    """Makes the repository and returns its folder: 22 files, two merged pull requests and an open one."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    for number, noun in enumerate(NOUNS):
        _write(folder, f"post/{noun}.py", _module(noun, number))
    _write(folder, "README.md", "# Post\n\nSorts parcels. Start with `post/parcel.py`.\n")
    for noun in NOUNS[:10]:
        _write(folder, f"docs/{noun}.md", _page(noun))
    _commit(folder, "Sort parcels", day=1)
    _pull(folder, 1, "Weigh the parcel", "post/parcel.py", "\n\ndef weigh_parcel(grams):\n    return grams / 1000\n", 2)
    _pull(folder, 2, "Refund twice", "post/refund.py", "\n\nREFUND_LIMIT = 2\n", 3)
    _pull(folder, 3, "Paint the depot", "docs/depot.md", "\nThe depot is green.\n", 4, merged=False)
    return folder


def edit_page(folder: Path) -> None:
    """Commits an edit of one Markdown page."""
    page = folder / "docs/courier.md"
    page.write_text(page.read_text("utf-8") + "\n## Night shift\n\nCouriers ride until four in the morning.\n", "utf-8")
    _commit(folder, "Describe the night shift", day=9)


def _pull(folder: Path, number: int, title: str, path: str, addition: str, day: int, merged: bool = True) -> None:
    git(folder, "checkout", "--quiet", "-b", f"change-{number}", "main", day=day)
    target = folder / path
    target.write_text(target.read_text("utf-8") + addition, "utf-8")
    _commit(folder, title, day=day)
    git(folder, "update-ref", f"refs/pull/{number}/head", "HEAD")
    git(folder, "checkout", "--quiet", "main")
    if merged:
        git(
            folder,
            *("merge", "--quiet", "--no-ff", "-m", f"Merge pull request #{number} from ada/change-{number}\n\n{title}"),
            f"change-{number}",
            day=day,
        )
    git(folder, "branch", "--quiet", "-D", f"change-{number}")


def _commit(folder: Path, message: str, day: int) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", message, day=day)


def _write(folder: Path, path: str, text: str) -> None:
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, "utf-8")


def _module(noun: str, number: int) -> str:
    functions = [
        f"def {verb}_{noun}({noun}_id, {noun}_weight={number + place}):\n"
        f'    """{verb.capitalize()} the {noun} with the scale of hall {number * 7 + place}."""\n'
        f"    return {noun}_id * {number + 2} + {noun}_weight\n"
        for place, verb in enumerate(VERBS)
    ]
    return f'"""Everything about a {noun}."""\n\n' + "\n\n".join(functions)


def _page(noun: str) -> str:
    return (
        f"# The {noun}\n\nA {noun} is kept in hall {len(noun)} until its form is stamped.\n\n"
        f"## Opening hours\n\nThe {noun} desk opens at {len(noun) + 3} and closes at {len(noun) + 11}.\n\n"
        f"## Whom to ask\n\nAsk the {noun} master, who knows `open_{noun}` and `route_{noun}` by heart.\n"
    )
