"""Figures of the synthesis room: `python tests/benchmarks/synthesis.py [--repo PATH] [--as-of DATE]`.

1. The template provider on a real repository: dialogues, seconds, equal bytes on repeat, answers checked by other code.
2. Requests per second and CPU per call against a bare asyncio loop of the official client, on the emulator.
3. Dollars per accepted pair and yields per method with the openai provider on the emulator.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

from tasks.base.artifacts import Artifact  # noqa: E402
from tasks.base.records import Dialogue, Document  # noqa: E402
from tasks.base.runs import read_records  # noqa: E402
from tasks.base.store import Store  # noqa: E402
from tasks.corpus.deduplicate import deduplicate  # noqa: E402
from tasks.corpus.filters import filter_documents  # noqa: E402
from tasks.corpus.params import DeduplicateParams, FilterParams, RedactParams, SplitParams  # noqa: E402
from tasks.corpus.redact import redact  # noqa: E402
from tasks.corpus.split import split  # noqa: E402
from tasks.harvest.params import PullsParams, Servers, SourceParams  # noqa: E402
from tasks.harvest.pulls import pulls  # noqa: E402
from tasks.harvest.resolve import resolve_source  # noqa: E402
from tasks.harvest.snapshot import snapshot  # noqa: E402
from tasks.synthesis.dialogues import dialogues  # noqa: E402
from tasks.synthesis.facts.step import facts  # noqa: E402
from tasks.synthesis.params import SynthesisParams  # noqa: E402
from tasks.text.facts import Fact  # noqa: E402
from tests.emulators.openai_api import OpenAIEmulator  # noqa: E402
from tests.synthesis.grammar import faults  # noqa: E402
from tests.synthesis.verifier import wrong  # noqa: E402

MODEL = "gpt-5-mini"
console = Console(width=120)


def documents_of(store: Store, repo: str, as_of: datetime.date | None, pull_limit: int) -> tuple[Artifact, Artifact]:
    """The split of a repository and its snapshot, by the rooms before."""
    source = SourceParams(repo=repo, as_of=as_of, pulls=PullsParams(limit=pull_limit) if pull_limit else None)
    found = resolve_source(source, Servers(), datetime.datetime.now(datetime.UTC), store)
    harvested = [snapshot.direct(store, source=found.snapshot, params=source.files)]
    if found.pulls is not None:
        harvested.append(pulls.direct(store, source=found.pulls))
    kept = filter_documents.direct(store, documents=harvested, params=FilterParams())
    redacted = redact.direct(store, documents=kept, params=RedactParams())
    unique = deduplicate.direct(store, documents=redacted, params=DeduplicateParams())
    return split.direct(store, documents=unique, params=SplitParams(), validation_fraction=0.1), harvested[0]


def template(store: Store, documents: Artifact, whole: Artifact) -> None:
    """Part 1."""
    params = SynthesisParams(methods=(*SynthesisParams().methods, "open_book"))
    seconds = []
    shas = set()
    for attempt in range(2):  # the same step under another name would be another key; a fresh process is a cold cache
        script = (
            "import sys, time\n"
            "from tasks.base.artifacts import Artifact\n"
            "from tasks.base.store import Store\n"
            "from tasks.synthesis.dialogues import dialogues\n"
            "from tasks.synthesis.facts.step import facts\n"
            "from tasks.synthesis.params import SynthesisParams\n"
            "documents = Artifact.model_validate_json(sys.argv[2])\n"
            "params = SynthesisParams.model_validate_json(sys.argv[3])\n"
            "whole = Artifact.model_validate_json(sys.argv[5])\n"
            "started = time.monotonic()\n"
            "step = dialogues.named(f'dialogues-{sys.argv[4]}')\n"
            "store = Store(sys.argv[1])\n"
            "known = facts.named(f'facts-{sys.argv[4]}').direct(store, documents=documents, snapshots=[whole])\n"
            "made = step.direct(store, documents=documents, facts=known, params=params)\n"
            "print(time.monotonic() - started, made.model_dump_json())"
        )
        out = subprocess.run(
            [
                sys.executable,
                "-c",
                script,
                store.uri,
                documents.model_dump_json(),
                params.model_dump_json(),
                str(attempt),
                whole.model_dump_json(),
            ],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        ).stdout
        taken, _, artifact = out.strip().splitlines()[-1].partition(" ")
        made = Artifact.model_validate_json(artifact)
        seconds.append(float(taken))
        shas.add(made.sha256)
    records = list(read_records(store, made, Dialogue))
    sources = {document.id: document for document in read_records(store, whole, Document)}  # lists are checked in it
    sources |= {
        document.id: document
        for name in ("train.jsonl", "held_out.jsonl")
        for document in read_records(store, documents, Document, name)
    }
    told = list(read_records(store, facts.direct(store, documents=documents, snapshots=[whole]), Fact))
    by_repo: dict[str, dict[str, Document]] = {}
    for document in sources.values():
        by_repo.setdefault(document.repo, {})[document.id] = document
    failures = [(fact, reason) for fact in told if (reason := wrong(fact, by_repo[sources[fact.document_id].repo]))]
    table = Table(
        title=f"template provider, {len(sources)} documents, {sum(len(d.text) for d in sources.values()):,} characters"
    )
    for column in ("figure", "value"):
        table.add_column(column, justify="left" if column == "figure" else "right")
    pairs = {tuple(message.content for message in dialogue.messages) for dialogue in records}
    characters = sum(len(message.content) for dialogue in records for message in dialogue.messages)
    rows: dict[str, Any] = {
        "dialogues": f"{len(records):,}",
        "distinct question-answer pairs": f"{len(pairs):,}",
        "characters": f"{characters:,}",
        "seconds, two runs": " ".join(f"{value:.1f}" for value in seconds),
        "artifacts of both runs equal": len(shas) == 1,
        "peak memory of the runs, MB": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
        "explaining, of the answers' tokens": f"{made.counts['explaining_tokens'] / made.counts['answer_tokens']:.1%}",
        "facts": f"{len(told):,}",
        "facts wrong by other code": len(failures),
        "faults of language": sum(map(len, map(faults, records))),
    }
    rows |= {f"  {name}": f"{count:,}" for name, count in sorted(Counter(d.method for d in records).items())}
    rows |= {name: f"{count:,}" for name, count in made.counts.items() if name.startswith("verdict:")}
    for name, value in rows.items():
        table.add_row(name, str(value))
    console.print(table)
    kinds = Table(title="kinds")
    for column in ("kind", "facts", "dialogues", "share of the answers' tokens", "wrong"):
        kinds.add_column(column, justify="left" if column == "kind" else "right")
    facts_of, wrong_of = Counter(fact.kind for fact in told), Counter(fact.kind for fact, _ in failures)
    for kind, number in sorted(Counter(one.kind for one in records).items()):
        share = made.counts[f"answer_tokens:{kind}"] / made.counts["answer_tokens"]
        kinds.add_row(kind, str(facts_of[kind] or ""), str(number), f"{share:.1%}", str(wrong_of[kind] or ""))
    console.print(kinds)
    for fact, reason in failures[:40]:
        console.print(fact.id, fact.subject[:80], reason[:200], markup=False)


def pages(number: int) -> list[Document]:
    """Small pages, all different."""
    return [
        Document(
            id=f"octo/rocket/file/docs/{at:05d}.md",
            kind="file",
            repo="octo/rocket",
            revision="0" * 40,
            path=f"docs/{at:05d}.md",
            title=f"docs/{at:05d}.md",
            url=None,
            text=f"# Rocket {at}\n\nRocket {at} has {at + 2} engines and burns kerosene at {at + 50} degrees.\n\n"
            f"## Build {at}\n\nRun `make rocket{at}` and wait for {at % 60} minutes.\n",
            created_at=None,
            updated_at=None,
            meta={"committed_at": "2023-12-31T12:00:00Z"},
        )
        for at in range(number)
    ]


async def bare(base_url: str, bodies: list[dict[str, Any]], at_once: int) -> float:
    """Seconds of a plain asyncio loop over the same requests with the same client: no budget, cache or validation."""
    from openai import AsyncOpenAI

    async with AsyncOpenAI(base_url=base_url, api_key="any", max_retries=0) as client:
        places = asyncio.Semaphore(at_once)

        async def one(body: dict[str, Any]) -> None:
            async with places:
                await client.chat.completions.create(**body)

        started = time.monotonic()
        await asyncio.gather(*map(one, bodies))
        return time.monotonic() - started


def requests(store: Store, number: int) -> None:
    """Part 2."""
    from tests.synthesis.conftest import split_of

    documents = split_of.direct(store, [page.line() for page in pages(number)], [])
    server_process = subprocess.Popen(
        [sys.executable, "-m", "tests.emulators.openai_api", "0", "0.05"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert server_process.stdout is not None
        base_url = server_process.stdout.readline().strip()
        speed = Table(title=f"requests to the emulator in a process of its own, {number} pages, 50 ms latency")
        for column in (
            "at once",
            "requests",
            "ours, s",
            "ours, requests/s",
            "bare loop, s",
            "bare, requests/s",
            "ours, CPU ms/call",
            "bare, CPU ms/call",
        ):
            speed.add_column(column, justify="right")
        for at_once in (8, 32):
            params = SynthesisParams(
                provider="openai", base_url=base_url, model=MODEL, budget_usd=100, concurrency=at_once,
                methods=("page_qa", "page_instruction"), max_output_tokens=4000 + at_once,
            )  # fmt: skip
            bodies = bodies_of(store, documents, params)
            started, cpu = time.monotonic(), time.process_time()
            dialogues.direct(store, documents=documents, facts=facts.direct(store, documents=documents), params=params)
            ours, our_cpu = time.monotonic() - started, time.process_time() - cpu
            cpu = time.process_time()
            theirs = asyncio.run(bare(base_url, bodies, at_once))
            their_cpu = time.process_time() - cpu
            speed.add_row(
                str(at_once), str(len(bodies)), f"{ours:.2f}", f"{len(bodies) / ours:.0f}", f"{theirs:.2f}",
                f"{len(bodies) / theirs:.0f}", f"{1000 * our_cpu / len(bodies):.1f}",
                f"{1000 * their_cpu / len(bodies):.1f}",
            )  # fmt: skip
        console.print(speed)
    finally:
        server_process.terminate()
        server_process.wait()


def bodies_of(store: Store, documents: Artifact, params: SynthesisParams) -> list[dict[str, Any]]:
    """The requests that a run makes, judge included, taken from an emulator in this process."""
    with OpenAIEmulator() as server:
        scratch = Store(tempfile.mkdtemp())
        local = params.model_copy(update={"base_url": server.base_url})
        Path(scratch.root.path, "cas").mkdir(parents=True)
        Path(scratch.blob(documents.sha256).path).symlink_to(store.blob(documents.sha256).path)
        dialogues.direct(scratch, documents=documents, facts=facts.direct(scratch, documents=documents), params=local)
        return [received.body for received in server.received]


def yields(store: Store, documents: Artifact, limit_usd: float) -> None:
    """Part 3: what comes of the real documents' prompts, priced as MODEL; the emulator's answers are extracts."""
    with OpenAIEmulator() as server:
        params = SynthesisParams(
            provider="openai", base_url=server.base_url, model=MODEL, budget_usd=limit_usd, concurrency=32
        )
        started = time.monotonic()
        made = dialogues.direct(
            store, documents=documents, facts=facts.direct(store, documents=documents), params=params
        )
        seconds = time.monotonic() - started
        records = Counter(dialogue.method for dialogue in read_records(store, made, Dialogue))
        asked = Counter(_name(received.body) for received in server.received)
        usd = sum((b.input_tokens * 0.25 + b.output_tokens * 2.0) / 1e6 for b in server.billed)
    table = Table(
        title=f"openai provider on the emulator: {len(server.received)} requests, {seconds:.0f} s, "
        f"{usd:.2f} dollars as {MODEL}"
    )
    for column in ("method", "calls", "dialogues", "dialogues per call"):
        table.add_column(column, justify="left" if column == "method" else "right")
    for name in sorted(records.keys() | asked.keys()):
        calls = asked.get(name, 0)
        table.add_row(
            name, str(calls), str(records.get(name, 0)), f"{records.get(name, 0) / calls:.1f}" if calls else "–"
        )
    table.add_row(
        "all",
        str(len(server.received)),
        str(sum(records.values())),
        f"{usd / max(1, sum(records.values())):.5f} dollars each",
    )
    console.print(table)
    console.print({name: count for name, count in made.counts.items() if name.startswith("verdict:")})


def _name(body: dict[str, Any]) -> str:
    return str(body["response_format"]["json_schema"]["name"])


def main() -> None:
    """Runs all parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repo", default=str(ROOT))
    parser.add_argument("--as-of", type=datetime.date.fromisoformat)
    parser.add_argument("--pulls", type=int, default=100)
    parser.add_argument("--pages", type=int, default=300)
    parser.add_argument("--part", type=int, choices=(1, 2, 3))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        if options.part != 2:
            documents, whole = documents_of(store, options.repo, options.as_of, options.pulls)
        if options.part in (None, 1):
            template(store, documents, whole)
        if options.part in (None, 2):
            requests(store, options.pages)
        if options.part in (None, 3):
            yields(store, documents, 1000.0)


if __name__ == "__main__":
    main()
