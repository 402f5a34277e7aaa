"""Real git repositories for tests, written by `git fast-import` in one process."""

from __future__ import annotations

import datetime
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tasks.harvest.git.paths import quote_path

START = datetime.datetime(2023, 1, 2, 9, tzinfo=datetime.UTC)

Files = Mapping[str | bytes, bytes | tuple[str, bytes] | None]
"""Content by path; a tuple has the mode first; None removes."""


def day(number: float) -> int:
    """Seconds since 1970 of so many days after `START`."""
    return int(START.timestamp() + number * 86_400)


def moment(number: float) -> str:
    """The same as RFC 3339."""
    return datetime.datetime.fromtimestamp(day(number), datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class History:
    """Commits to be written. `commit` returns a mark; after `write` the mark's sha is in `shas`."""

    shas: dict[int, str] = field(default_factory=dict)
    _stream: list[bytes] = field(default_factory=list)
    _marks: int = 0

    def commit(
        self,
        ref: str,
        files: Files,
        when: float,
        parents: Sequence[int] = (),
        message: str = "Change\n",
        author: str = "Ann",
    ) -> int:
        """Adds a commit to a reference; the first parent's tree with the files changed."""
        self._marks += 1
        text = message.encode()
        lines = [f"commit {ref}\nmark :{self._marks}\n".encode()]
        lines += [
            f"{role} {author} <{author.lower()}@example.org> {day(when)} +0000\n".encode()
            for role in ("author", "committer")
        ]
        lines += [b"data %d\n%s\n" % (len(text), text)]
        lines += [f"{'from' if place == 0 else 'merge'} :{parent}\n".encode() for place, parent in enumerate(parents)]
        for path, content in files.items():
            name = quote_path(path if isinstance(path, bytes) else path.encode()).encode()
            if content is None:
                lines.append(b"D %s\n" % name)
                continue
            mode, data = content if isinstance(content, tuple) else ("100644", content)
            if mode == "160000":
                lines.append(b"M 160000 %s %s\n" % (data, name))
            else:
                lines.append(b"M %s inline %s\ndata %d\n%s\n" % (mode.encode(), name, len(data), data))
        self._stream += [*lines, b"\n"]
        return self._marks

    def write(self, folder: Path, objects: str = "sha1") -> Path:
        """Writes everything into a bare repository, made if missing, and returns its folder."""
        if not folder.exists():
            options = ("--quiet", "--bare", "--initial-branch=main", f"--object-format={objects}")
            run("git", "init", *options, str(folder))
        marks = folder / "marks"
        command = ["git", "--git-dir", str(folder), "fast-import", "--quiet", "--force", f"--export-marks={marks}"]
        if marks.exists():
            command.append(f"--import-marks={marks}")
        subprocess.run(command, input=b"".join(self._stream), check=True, capture_output=True)
        pairs = (line.split() for line in marks.read_text().splitlines())
        self.shas = {int(mark[1:]): sha for mark, sha in pairs}
        self._stream = []
        return folder


def run(*command: str) -> str:
    """Output of a command."""
    return subprocess.run(command, check=True, capture_output=True).stdout.decode()


def commit(folder: Path, files: Files) -> str:
    """Writes a repository of one commit; returns its sha."""
    history = History()
    mark = history.commit("refs/heads/main", files, 0)
    history.write(folder)
    return history.shas[mark]
