"""Harvest: snapshot speed and memory, diffs a second, and requests per 100 pull requests, beside the alternatives.

    python -m tests.benchmarks.harvest [--files 5000] [--pulls-of PATH] [--skip-tools]

The repository of about 5,000 files is made of this environment's installed packages. gitingest, repomix (npm) and
files-to-prompt are installed into a temporary folder outside the tree, which is removed afterwards. `--pulls-of` takes
any bare repository that has `refs/pull/*/head` (guardian/manage-frontend has 1,719); without it 1,700 are made.

Snapshots are taken in turn, three rounds; seconds are the median of whole processes, but for the first line. Ours
writes checked, content-addressed records and a verdict for every file left out; it counts no tokens, which gitingest
and repomix do and files-to-prompt does not.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import os
import resource
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import psutil
import pygit2
from rich.console import Console
from rich.table import Table

from tasks.base.store import Store
from tasks.harvest.git.diff_cache import DiffCache
from tasks.harvest.git.history import own_commits, select
from tasks.harvest.git.repository import head_commit, open_view, pull_heads
from tasks.harvest.issues import issues
from tasks.harvest.params import GithubParams, PullsParams, ResolvedPulls, Servers, SourceParams, ThreadsParams
from tasks.harvest.pulls import Comparison, comparisons, pulls
from tasks.harvest.resolve import resolve_source
from tests.emulators.github_api import Github, serve
from tests.harvest.histories import History, day, moment
from tests.harvest.test_issues import build_tracker
from tests.harvest.town import build_town

REPEATS = 3
MAX_FILE_BYTES = 1_000_000
TOTAL_BYTES = 82_000_000
NPM_TOOLS = ("repomix@1.18.1",)
PYTHON_TOOLS = ("gitingest==0.3.1", "files-to-prompt==0.6")

OURS = """
import datetime, resource, sys, time
from tasks.base.store import Store
from tasks.harvest.params import GithubParams, Servers, SourceParams
from tasks.harvest.resolve import resolve_source
from tasks.harvest.snapshot import snapshot
def cpu():
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
started, used = time.perf_counter(), cpu()
source = SourceParams(repo=sys.argv[1], pulls=None, wiki=None)
store = Store(sys.argv[2])
found = resolve_source(source, Servers(), datetime.datetime.now(datetime.UTC), store)
made = snapshot.direct(store, source=found.snapshot, params=source.files)
print(time.perf_counter() - started, cpu() - used, made.counts["records"])
"""


class Measured(NamedTuple):
    """One run of one tool."""

    seconds: float
    cpu_seconds: float
    """Of all its processes: what is left of the time when others use the machine too."""
    megabytes: float
    """Peak resident memory of the process and its children together, sampled."""
    output: str


def packages_repository(folder: Path, files: int) -> tuple[Path, int]:
    """A repository of installed packages, and its size in bytes."""
    source = Path(sysconfig.get_paths()["purelib"])
    sizes = {
        path: path.stat().st_size
        for path in sorted(source.rglob("*"))
        if path.is_file() and not path.is_symlink() and path.suffix not in (".pyc", ".so") and path.name[0] != "."
    }
    usable = [path for path, size in sizes.items() if 0 < size <= MAX_FILE_BYTES]
    chosen = set(usable[:: max(len(usable) // files, 1)][:files])
    for path in sorted(usable, key=lambda path: (-sizes[path], path)):  # to the bytes of a real one: large for small
        if sum(sizes[item] for item in chosen) >= TOTAL_BYTES:
            break
        if path not in chosen:
            chosen.remove(min(chosen, key=lambda item: (sizes[item], item)))
            chosen.add(path)
    for path in chosen:
        target = folder / "packages" / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    git = ("git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "gc.auto=0")
    for command in (
        ("init", "-q"),
        ("add", "-A", "-f"),
        ("commit", "-q", "-m", "Packages"),
        ("repack", "-q", "-a", "-d"),
    ):
        subprocess.run([*git, *command], check=True)
    return folder, sum(sizes[path] for path in chosen)


def measure(command: Sequence[str], folder: Path) -> Measured:
    """Runs a command once."""
    environment = {name: value for name, value in os.environ.items() if name[:6] not in ("PYTHON", "GITHUB")}
    quiet = subprocess.DEVNULL
    started, used, peak = time.perf_counter(), cpu_seconds(), 0
    with psutil.Popen(
        command, cwd=folder, stdin=quiet, stdout=subprocess.PIPE, stderr=quiet, env=environment
    ) as process:
        while process.poll() is None:
            with contextlib.suppress(psutil.Error):
                family = [process, *process.children(recursive=True)]
                peak = max(peak, sum(member.memory_info().rss for member in family))
            time.sleep(0.02)
        seconds = time.perf_counter() - started
        text = process.stdout.read().decode("utf-8", "replace")
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}")
    return Measured(seconds, cpu_seconds() - used, peak / 1e6, text)


def snapshot_table(scratch: Path, files: int, tools: bool) -> Table:
    """Snapshot of one repository by ours and by the others, in turn, so that all see the same load of the machine."""
    repository, total = packages_repository(scratch / "packages", files)
    output, store = scratch / "out.txt", scratch / "store"
    commands = {"rawtune": [sys.executable, "-c", OURS, str(repository / ".git"), str(store)]}
    if tools:
        commands |= other_tools(scratch, output)
    runs: dict[str, list[Measured]] = {name: [] for name in commands}
    for _ in range(REPEATS):
        for name, command in commands.items():
            runs[name].append(measure(command, repository))
            shutil.rmtree(store, ignore_errors=True)
    inside = [Measured(*map(float, run.output.split()[:2]), run.megabytes, run.output) for run in runs["rawtune"]]
    rows = {"rawtune, resolve and snapshot": inside, "rawtune, with importing Prefect": runs.pop("rawtune"), **runs}
    ours = statistics.median(run.seconds for run in inside)
    table = Table("snapshot", "seconds", "times ours", "CPU seconds", "peak MB")
    table.title = f"{files} files, {total / 1e6:.0f} MB; {inside[0].output.split()[2]} documents"
    for name, found in rows.items():
        seconds = statistics.median(run.seconds for run in found)
        cpu = statistics.median(run.cpu_seconds for run in found)
        peak = max(run.megabytes for run in found)
        table.add_row(name, f"{seconds:.2f}", f"{seconds / ours:.1f}", f"{cpu:.2f}", f"{peak:.0f}")
    return table


def other_tools(scratch: Path, output: Path) -> dict[str, list[str]]:
    """Installs tools that people use; commands that write the repository in the working directory into a file."""
    python = scratch / "tools" / "bin"
    subprocess.run([sys.executable, "-m", "venv", str(scratch / "tools")], check=True)
    subprocess.run([str(python / "pip"), "install", "-q", "--disable-pip-version-check", *PYTHON_TOOLS], check=True)
    subprocess.run(["npm", "install", "--silent", "--prefix", str(scratch / "npm"), *NPM_TOOLS], check=True)
    repomix = [str(scratch / "npm" / "node_modules" / ".bin" / "repomix"), "--output", str(output), "--quiet"]
    return {
        "gitingest 0.3.1": [str(python / "gitingest"), ".", "-o", str(output)],
        "repomix 1.18.1": repomix,
        "repomix 1.18.1, no secret scan": [*repomix, "--no-security-check"],
        "files-to-prompt 0.6": [str(python / "files-to-prompt"), ".", "-o", str(output)],
    }


def made_pulls(folder: Path, count: int) -> Path:
    """A bare repository with so many pull heads, each changing three of 300 files of 200 lines."""
    history = History()
    lines = [b"value_%d = %d\n" % (line, line) for line in range(200)]
    trunk = history.commit("refs/heads/main", {f"src/f{number:03d}.py": b"".join(lines) for number in range(300)}, 0)
    for number in range(1, count + 1):
        files = {}
        for place in range(3):
            edited = [*lines]
            edited[(number + place * 40) % 200] = b"changed = %d\n" % number
            files[f"src/f{(number * 7 + place) % 300:03d}.py"] = b"".join(edited)
        history.commit(f"refs/pull/{number}/head", files, number, [trunk])
    return history.write(folder)


def diff_table(scratch: Path, repository: Path) -> Table:
    """All diffs of all pull heads: ours, and one set of git processes for each pull request."""
    view = open_view(repository.absolute(), scratch)
    head = head_commit(repository)
    assert head is not None
    started, used = time.perf_counter(), cpu_seconds()
    selection = tuple(select(view, pull_heads(repository), head, PullsParams(limit=None), day(10**5)))
    source = ResolvedPulls(
        repo="r", digest="", count=0, web_url=None, location=str(repository), trunk=head, selection=selection
    )
    found = [item for item in comparisons(view, source) if isinstance(item, Comparison)]
    diffs = DiffCache(scratch / "diffs")
    diffs.fill(view, diffs.missing([item.trees for item in found]))
    reader = pygit2.Repository(str(view.folder))
    for item in found:
        own_commits(reader, item.base, item.reference.head or "")
    seconds, cpu = time.perf_counter() - started, cpu_seconds() - used
    files = sum(len(diffs.changes(item.trees)) for item in found)
    sample = found[:: max(len(found) // 50, 1)]
    started = time.perf_counter()
    for item in sample:
        assert item.reference.head is not None
        view.run("merge-base", head, item.reference.head)
        view.run("log", "--format=%H", f"{head}..{item.reference.head}")
        view.run("diff", "-M", "--name-status", *item.trees)
        view.run("diff", "-M", *item.trees)
    naive = (time.perf_counter() - started) / len(sample) * len(found)
    table = Table("diffs", "seconds", "pull requests a second", "CPU seconds")
    table.title = f"{len(found)} pull heads, {files} changed files"
    table.add_row(
        "rawtune: dates, bases, commits, patches", f"{seconds:.2f}", f"{len(found) / seconds:.0f}", f"{cpu:.2f}"
    )
    table.add_row(f"four git processes each (from {len(sample)})", f"{naive:.2f}", f"{len(found) / naive:.0f}", "")
    return table


def cpu_seconds() -> float:
    """CPU seconds of this process and its finished children so far."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def naive_loop(github: Github) -> None:
    """The loop that one writes first: PyGithub's defaults, but without its pauses."""
    import github as pygithub

    client = pygithub.Github(
        auth=pygithub.Auth.Token("t"), base_url=github.url, seconds_between_requests=None, seconds_between_writes=None
    )
    for number, pull in enumerate(
        client.get_repo("town/hall").get_pulls(state="all", sort="created", direction="desc")
    ):
        if number == 100:
            return
        _ = pull.merged
        for parts in (pull.get_issue_comments(), pull.get_reviews(), pull.get_review_comments(), pull.get_files()):
            list(parts)


def request_table(scratch: Path) -> Table:
    """Requests to the API and to git for 100 pull requests, on the emulator."""
    os.environ["GITHUB_TOKEN"] = "t"
    town = build_town(scratch / "hall.git", 100)
    table = Table(
        "100 pull requests", "API requests", "git requests", "seconds", title="Requests, by the emulator's log"
    )
    with serve(town.repository, token="t") as github:

        def measure(name: str, threads: str | None) -> None:
            before, started = len(github.requests), time.perf_counter()
            if threads is None:
                naive_loop(github)
            else:
                store = Store(str(scratch / f"requests-{threads}"))
                reached = GithubParams.model_validate({"api_url": github.url, "threads": threads})
                now = datetime.datetime(2024, 6, 1, tzinfo=datetime.UTC)
                found = resolve_source(SourceParams(repo="town/hall", wiki=None), Servers(github=reached), now, store)
                assert found.pulls is not None
                pulls.direct(store, source=found.pulls)
            asked = github.requests[before:]
            by_git = sum(1 for item in asked if item.is_git)
            table.add_row(name, str(len(asked) - by_git), str(by_git), f"{time.perf_counter() - started:.2f}")

        measure("PyGithub, one thing after another", None)
        for threads in ("graphql", "rest"):
            measure(f"rawtune by {threads}", threads)
            measure(f"rawtune by {threads}, nothing new", threads)
    return table


def issue_table(scratch: Path) -> Table:
    """Requests for 500 issues, nothing new, and a month that changes 12; REST lists 300 pull requests among them."""
    os.environ["GITHUB_TOKEN"] = "t"
    tracker = build_tracker(scratch / "tracker.git", 500, 300)
    table = Table("500 issues", "API requests", "seconds", title="Requests for issues, by the emulator's log")
    with serve(tracker, token="t") as github:
        for threads in ("graphql", "rest"):
            store = Store(str(scratch / f"issues-{threads}"))
            reached = GithubParams.model_validate({"api_url": github.url, "threads": threads})
            source = SourceParams(repo="town/hall", wiki=None, pulls=None, issues=ThreadsParams())
            for name in ("first", "nothing new", "12 changed"):
                for issue in tracker.issues[100:112] if name == "12 changed" else ():
                    issue.updated_at = moment(70 if threads == "graphql" else 71)
                before, started = len(github.api_requests), time.perf_counter()
                found = resolve_source(
                    source, Servers(github=reached), datetime.datetime(2024, 6, 1, tzinfo=datetime.UTC), store
                )
                assert found.issues is not None
                issues.direct(store, source=found.issues)
                asked = len(github.api_requests) - before
                table.add_row(f"{threads}, {name}", str(asked), f"{time.perf_counter() - started:.2f}")
    return table


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--files", type=int, default=5_000)
    parser.add_argument("--pulls-of", type=Path)
    parser.add_argument("--skip-tools", action="store_true")
    options = parser.parse_args()
    console = Console(width=110)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        console.print(request_table(scratch))
        console.print(issue_table(scratch))
        console.print(diff_table(scratch, options.pulls_of or made_pulls(scratch / "pulls.git", 1_700)))
        console.print(snapshot_table(scratch, options.files, not options.skip_tools))


if __name__ == "__main__":
    main()
