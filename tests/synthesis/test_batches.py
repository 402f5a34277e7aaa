"""The Batch API against the emulator: half the price, nothing paid twice, whatever happens in between."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from pathlib import Path

import openai
import pytest

from tasks.base.artifacts import Artifact
from tasks.base.errors import BudgetError, InputError, SourceError
from tasks.base.records import Dialogue, Document
from tasks.base.runs import read_records
from tasks.base.store import Store
from tasks.llm import batches
from tasks.llm.batches import Batches
from tasks.synthesis.params import SynthesisParams
from tests.emulators.openai_api import Fault, OpenAIEmulator
from tests.synthesis.conftest import MakeSplit, asking, billed_usd, dialogues_of, page


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "IDLE_SECONDS", 0.02)


def batched(server: OpenAIEmulator, **more: object) -> SynthesisParams:
    return asking(server, batch=True, batch_poll=0.01, **more)


def pages_of(store: Store, made: Artifact) -> set[str]:
    return {record.provenance.document_id for record in read_records(store, made, Dialogue)}


def four() -> list[Document]:
    return [page(number) for number in range(4)]


def test_batches_give_the_bytes_of_single_requests_at_half_the_price(
    tmp_path: Path, store: Store, make_split: MakeSplit, server: OpenAIEmulator
) -> None:
    split = make_split(four())
    single = dialogues_of(store, documents=split, params=asking(server))
    cost, count = billed_usd(server), len(server.billed)
    server.reset()
    other = Store(str(tmp_path / "other"))
    (tmp_path / "other" / "cas").mkdir(parents=True)
    Path(other.blob(split.sha256).path).symlink_to(store.blob(split.sha256).path)
    made = dialogues_of(other, documents=split, params=batched(server))
    assert made.sha256 == single.sha256
    assert (len(server.billed), billed_usd(server)) == (count, cost / 2)
    assert len(server.batch_desk.batches) == 2  # what is written, then what is judged
    assert list((Path(other.root.path) / "cache/synthesis/batches").glob("*/*.json")) == []


def test_more_calls_than_a_batch_holds_make_several(
    store: Store, make_split: MakeSplit, server: OpenAIEmulator
) -> None:
    made = dialogues_of(store, documents=make_split(four()), params=batched(server, batch_requests=5))
    assert pages_of(store, made) == {record.id for record in four()}
    assert all(batch["request_counts"]["total"] <= 5 for batch in server.batch_desk.batches.values())


def test_expired_batch_keeps_what_is_done_and_asks_for_the_rest(
    store: Store, make_split: MakeSplit, server: OpenAIEmulator
) -> None:
    server.settings.batch_done = 0.6
    made = dialogues_of(store, documents=make_split(four()), params=batched(server, methods=("page_qa",)))
    bodies = [json.dumps(received.body) for received in server.received]
    assert len(bodies) == len(set(bodies))
    assert made.counts["records"] > 0


def test_failed_requests_of_a_batch_are_asked_again_and_moderated_ones_are_not(
    store: Store, make_split: MakeSplit, server: OpenAIEmulator
) -> None:
    server.faults += [Fault("server-error"), Fault("moderation"), Fault("rate-limit"), Fault("malformed")]
    made = dialogues_of(store, documents=make_split(four()), params=batched(server, methods=("page_qa",)))
    assert {name: count for name, count in made.counts.items() if name.startswith("verdict:")} == {
        "verdict:moderated": 1
    }
    assert len(pages_of(store, made)) == 3


def test_budget_cuts_batches_and_is_never_exceeded(store: Store, make_split: MakeSplit, server: OpenAIEmulator) -> None:
    split = make_split([page(number) for number in range(5)])
    params = batched(server, methods=("page_qa",), max_output_tokens=512, budget_usd=0.0015)
    with pytest.raises(BudgetError, match=r"synthesis\.budget_usd"):
        dialogues_of(store, documents=split, params=params)
    assert Decimal(0) < billed_usd(server) <= Decimal("0.0015")
    again = params.model_copy(update={"budget_usd": 1.0})
    assert len(pages_of(store, dialogues_of(store, documents=split, params=again))) == 5
    bodies = [json.dumps(received.body) for received in server.received]
    assert len(bodies) == len(set(bodies))


class CrashError(Exception):
    """Stands for the end of the process at a chosen point."""


@pytest.mark.parametrize("point", ["before submission", "after submission", "after results"])
def test_crash_at_any_point_pays_no_request_twice(
    store: Store, make_split: MakeSplit, server: OpenAIEmulator, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    split, params = make_split(four()), batched(server, methods=("page_qa",))
    whole = {
        "before submission": Batches._create,
        "after submission": Batches._ended,
        "after results": Batches._collect,
    }[point]

    async def crash(self: Batches, *arguments: object) -> object:
        if point == "after results":
            await whole(self, *arguments)  # type: ignore[operator]
        raise CrashError(point)

    with monkeypatch.context() as patch:
        patch.setattr(Batches, whole.__name__, crash)
        with pytest.raises(CrashError):
            dialogues_of(store, documents=split, params=params)
    made = dialogues_of(store, documents=split, params=params)
    assert pages_of(store, made) == {record.id for record in four()}
    bodies = [json.dumps(received.body) for received in server.received]
    assert len(bodies) == len(set(bodies))
    (folder,) = (Path(store.root.path) / "budgets").iterdir()
    assert sum(Decimal(paid.read_text()) for paid in folder.glob("*.txt")) == billed_usd(server)


def test_batch_whose_submission_was_not_confirmed_is_found_by_its_mark(
    store: Store, make_split: MakeSplit, server: OpenAIEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Batches._create

    async def unconfirmed(self: Batches, content: bytes, mark: str) -> object:
        await real(self, content, mark)
        raise CrashError("the answer to the submission is lost")

    split, params = make_split(four()), batched(server, methods=("page_qa",))
    with monkeypatch.context() as patch:
        patch.setattr(Batches, "_create", unconfirmed)
        with pytest.raises(CrashError):
            dialogues_of(store, documents=split, params=params)
    dialogues_of(store, documents=split, params=params)
    bodies = [json.dumps(received.body) for received in server.received]
    assert len(bodies) == len(set(bodies))


def test_failed_batch_is_one_line_and_the_next_run_starts_afresh(
    store: Store, make_split: MakeSplit, server: OpenAIEmulator
) -> None:
    split, params = make_split(four()), batched(server, methods=("page_qa",))
    server.settings.batch_fails = True
    with pytest.raises(SourceError, match="not parseable as valid JSON"):
        dialogues_of(store, documents=split, params=params)
    server.settings.batch_fails = False
    assert len(pages_of(store, dialogues_of(store, documents=split, params=params))) == 4


def test_refused_key_is_one_line(store: Store, make_split: MakeSplit, server: OpenAIEmulator) -> None:
    server.settings.api_key = "right"
    with pytest.raises(InputError, match="OPENAI_API_KEY"):
        dialogues_of(store, documents=make_split(four()), params=batched(server))
    assert server.received == []


def test_deleting_uploaded_file_works_as_in_the_service(server: OpenAIEmulator) -> None:
    async def run() -> bool:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="any") as client:
            file = await client.files.create(file=("x.jsonl", b"{}"), purpose="batch")
            return (await client.files.delete(file.id)).deleted

    assert asyncio.run(run())
