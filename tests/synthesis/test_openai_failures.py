"""The `openai` provider when things go wrong: faults, simpler servers, budgets, refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from tasks.base.errors import BudgetError, InputError, RecordError, SourceError
from tasks.base.ledger import ledger
from tasks.base.records import Dialogue
from tasks.base.runs import read_records
from tasks.base.store import Store
from tasks.llm import online
from tasks.llm.params import PriceParams
from tasks.synthesis.params import SynthesisParams
from tests.emulators.openai_api import Fault, OpenAIEmulator
from tests.synthesis.conftest import MakeSplit, asking, billed_usd, dialogues_of, page, reasons

FAULTS = [
    Fault("rate-limit", retry_after=0.05),
    Fault("rate-limit"),
    Fault("server-error"),
    Fault("overloaded", retry_after=0.05),
    Fault("reset"),
    Fault("broken-body"),
    Fault("malformed"),
    Fault("wrong-shape"),
    Fault("empty"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.kind)
def test_fault_is_survived_with_the_same_bytes(
    tmp_path: Path, make_split: MakeSplit, store: Store, server: OpenAIEmulator, fault: Fault
) -> None:
    params = asking(server, methods=("page_qa",))
    split = make_split([page(1), page(2)])
    whole = dialogues_of(store, documents=split, params=params)
    sent = len(server.received)
    server.fault_for = lambda received: fault if received.number in (sent, sent + 2) else None
    other = Store(str(tmp_path / "other"))
    (tmp_path / "other" / "cas").mkdir(parents=True)
    Path(other.blob(split.sha256).path).symlink_to(store.blob(split.sha256).path)
    assert dialogues_of(other, documents=split, params=params).sha256 == whole.sha256
    assert len(server.received) == 2 * sent + 2


def test_hanging_answer_times_out_is_asked_again_and_counts_as_spent(
    store: Store, make_split: MakeSplit, server: OpenAIEmulator
) -> None:
    server.faults.append(Fault("hang", seconds=0.8))
    params = asking(server, methods=("page_instruction",), timeout=0.4, judge=False)
    with ledger(store, "run") as book:
        made = dialogues_of(store, documents=make_split([page(1)]), params=params)
    assert made.counts["records"] == 1
    assert len(server.received) == 2
    told = (Path(store.root.path) / "ledger" / "run" / "spend").iterdir()
    assert sum(Decimal(str(json.loads(spend.read_text())["usd"])) for spend in told) >= billed_usd(server)
    assert book.report.run == "run"


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("malformed", "malformed"),
        ("wrong-shape", "malformed"),
        ("truncated", "truncated"),
        ("refusal", "refused"),
        ("content-filter", "moderated"),
        ("moderation", "moderated"),
    ],
)
def test_garbage_makes_verdicts_and_is_never_cached(
    store: Store, make_split: MakeSplit, server: OpenAIEmulator, kind: str, reason: str
) -> None:
    garbage = Fault(kind)  # type: ignore[arg-type]
    server.fault_for = lambda received: garbage if "page1.md" in str(received.body) else None
    params = asking(server, methods=("page_qa",))
    made = dialogues_of(store, documents=make_split([page(1), page(2)]), params=params)
    assert {record.provenance.document_id for record in read_records(store, made, Dialogue)} == {page(2).id}
    assert reasons(made) == {reason: 1}
    server.fault_for = None
    before = len(server.received)
    healed = dialogues_of(
        store,
        documents=make_split([page(1), page(2)]),
        params=asking(server, methods=("page_qa", "near_miss"), near_miss_fraction=0),
    )
    assert len({record.provenance.document_id for record in read_records(store, healed, Dialogue)}) == 2
    assert all("page1.md" in str(received.body) for received in server.received[before:])


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"json_schema": False}, "max_completion_tokens"),
        ({"token_field": "max_tokens"}, "max_tokens"),
        ({"json_schema": False, "token_field": "max_tokens"}, "max_tokens"),
    ],
)
def test_simpler_server_is_understood_after_its_first_refusal(
    store: Store, make_split: MakeSplit, server: OpenAIEmulator, change: dict[str, object], field: str
) -> None:
    split = make_split([page(1), page(2)])
    whole = dialogues_of(store, documents=split, params=asking(server))
    before = len(server.received)
    for name, value in change.items():
        setattr(server.settings, name, value)
    params = asking(server, max_output_tokens=4000)  # other calls than before, so that the cache has none
    made = dialogues_of(store, documents=split, params=params)
    assert made.sha256 == whole.sha256
    bodies = [received.body for received in server.received[before:]]
    assert len(bodies) == before + len(change)
    assert all(field in body for body in bodies[len(change) :])


def test_server_that_ignores_the_format_yields_verdicts(
    store: Store, make_split: MakeSplit, server: OpenAIEmulator
) -> None:
    server.settings.ignore_format = True
    made = dialogues_of(store, documents=make_split([page(1)]), params=asking(server, methods=("page_qa",)))
    assert made.counts == {"records": 0, "verdict:malformed": 1}


def test_concurrency_is_raised_up_to_the_bound_and_never_above(
    store: Store, make_split: MakeSplit, server: OpenAIEmulator
) -> None:
    server.settings.latency = 0.02
    pages = [page(number) for number in range(30)]
    dialogues_of(store, documents=make_split(pages), params=asking(server, concurrency=8, methods=("page_qa",)))
    assert 4 < server.most_at_once <= 8


def test_crowded_server_is_left_room(store: Store, make_split: MakeSplit, server: OpenAIEmulator) -> None:
    server.settings.latency, server.settings.capacity = 0.01, 3
    pages = [page(number) for number in range(20)]
    params = asking(server, concurrency=32, methods=("page_qa",))
    made = dialogues_of(store, documents=make_split(pages), params=params)
    assert {record.provenance.document_id for record in read_records(store, made, Dialogue)} == {p.id for p in pages}
    assert len(server.billed) == 40
    assert len(server.received) < 100


def capped(server: OpenAIEmulator, usd: float, **more: object) -> SynthesisParams:
    return asking(server, **{"budget_usd": usd, "max_output_tokens": 512, "concurrency": 16, **more})


def test_budget_is_never_exceeded_under_concurrency_and_a_higher_cap_continues(
    store: Store, make_split: MakeSplit, server: OpenAIEmulator
) -> None:
    server.settings.latency = 0.005
    split = make_split([page(number) for number in range(20)])
    for cap in (0.004, 0.008, 0.012):
        with pytest.raises(BudgetError, match=r"synthesis\.budget_usd"):
            dialogues_of(store, documents=split, params=capped(server, cap))
        assert Decimal(str(cap)) * Decimal("0.6") < billed_usd(server) <= Decimal(str(cap))
    made = dialogues_of(store, documents=split, params=capped(server, 1.0))
    assert len(server.received) == len({json.dumps(received.body) for received in server.received})
    assert {record.provenance.document_id for record in read_records(store, made, Dialogue)} == {
        page(number).id for number in range(20)
    }


def test_budget_that_is_kept_to_goes_on_with_what_there_is_and_bears_identity(
    store: Store, make_split: MakeSplit, server: OpenAIEmulator
) -> None:
    split = make_split([page(number) for number in range(10)])
    made = dialogues_of(store, documents=split, params=capped(server, 0.004, at_budget="keep", concurrency=2))
    assert Decimal(0) < billed_usd(server) <= Decimal("0.004")
    assert made.counts["records"] > 0
    assert reasons(made)["budget"] > 0
    more = dialogues_of(store, documents=split, params=capped(server, 1.0, at_budget="keep"))
    assert "budget" not in reasons(more)
    assert len(server.received) == len({json.dumps(received.body) for received in server.received})


def test_budget_of_zero_and_missing_names_are_refused_before_anything_is_sent(
    store: Store, make_split: MakeSplit, server: OpenAIEmulator
) -> None:
    split = make_split([page(1)])
    with pytest.raises(InputError, match=r"synthesis\.budget_usd"):
        dialogues_of(store, documents=split, params=asking(server, budget_usd=0))
    with pytest.raises(InputError, match=r"synthesis\.model: the provider"):
        dialogues_of(store, documents=split, params=asking(server, model=None))
    with pytest.raises(InputError, match=r"synthesis\.model: no price is known for smollm2"):
        dialogues_of(store, documents=split, params=asking(server, model="smollm2"))
    with pytest.raises(InputError, match="OPENAI_API_KEY: not set"):
        dialogues_of(store, documents=split, params=asking(server, base_url="https://api.openai.com/v1"))
    assert server.received == []


def test_own_server_without_prices_costs_nothing(store: Store, make_split: MakeSplit, server: OpenAIEmulator) -> None:
    params = asking(server, model="smollm2", budget_usd=0, prices=PriceParams(input_usd=0, output_usd=0))
    assert dialogues_of(store, documents=make_split([page(1)]), params=params).counts["records"] > 0


def test_refused_key_unknown_model_and_used_up_quota_stop_at_once(
    store: Store, make_split: MakeSplit, server: OpenAIEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = make_split([page(number) for number in range(5)])
    monkeypatch.setenv("OPENAI_API_KEY", "sk-wrong")
    server.settings.api_key = "sk-right"
    with pytest.raises(InputError, match="OPENAI_API_KEY: refused") as refused:
        dialogues_of(store, documents=split, params=asking(server))
    assert "sk-wrong" not in str(refused.value)
    server.settings.api_key = None
    with pytest.raises(InputError, match=r"synthesis\.model: gpt-5-nano is not known"):
        dialogues_of(store, documents=split, params=asking(server, model="gpt-5-nano"))
    server.faults.append(Fault("quota"))
    with pytest.raises(BudgetError, match="quota"):
        dialogues_of(store, documents=split, params=asking(server))
    assert len(server.received) == 2


def test_documents_too_long_for_the_model_name_the_parameter(
    store: Store, make_split: MakeSplit, server: OpenAIEmulator
) -> None:
    server.settings.context_tokens = 200
    with pytest.raises(InputError, match=r"too much for the context of gpt-5-mini.*synthesis\.window_characters"):
        dialogues_of(store, documents=make_split([page(1)]), params=asking(server))


def test_dead_server_is_given_up_with_one_line(
    store: Store, make_split: MakeSplit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(online, "FIRST_WAIT", 0.001)
    with OpenAIEmulator() as server:
        params = asking(server)
    with pytest.raises(SourceError, match=r"synthesis\.base_url: http://127\.0\.0\.1:\d+/v1/ does not answer"):
        dialogues_of(store, documents=make_split([page(1)]), params=params)


def test_many_lost_calls_fail_the_step_and_few_are_quarantined(
    store: Store, make_split: MakeSplit, server: OpenAIEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(online, "MAX_ATTEMPTS", 2)
    split = make_split([page(number) for number in range(12)])
    lost: Callable[[str], bool] = lambda body: "page3.md" in body and "judge" not in body  # noqa: E731
    server.fault_for = lambda received: Fault("server-error") if lost(str(received.body)) else None
    made = dialogues_of(store, documents=split, params=asking(server))
    assert (made.counts["quarantined"], made.counts["verdict:server-error"]) == (3, 3)
    monkeypatch.setattr(online, "GIVE_UPS", 100)
    first = len(server.received)
    server.fault_for = lambda received: Fault("server-error") if received.number > first else None
    with pytest.raises(RecordError, match="server-error"):
        dialogues_of(store, documents=make_split([page(20), page(21)]), params=asking(server))
