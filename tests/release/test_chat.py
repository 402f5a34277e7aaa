"""The chat in headless Chromium: a question asked, both answers appear, a thumb becomes a record."""

import http.client
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from deployments.chat.page import open_chat
from deployments.chat.terminal import ask
from tasks.base.artifacts import Artifact
from tasks.base.errors import printable
from tasks.base.records import Dialogue, Item, Provenance
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.base.store import Store
from tasks.model.base_model import base_model
from tasks.model.params import BaseModelParams
from tasks.release.gate import gate
from tasks.release.params import GateParams, ReleaseParams
from tasks.release.publish import ensure_published, publish
from tasks.release.sources import index
from tasks.retrieval.params import RetrievalParams
from tests.release.conftest import FACTS, Adapter
from tests.release.test_sources import documents

QUESTION = "What does setup.py do?"
EXAMPLE = "What does setup install?"


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        try:
            yield browser.new_page(viewport={"width": 1280, "height": 900})
        finally:
            browser.close()


@step("evaluation/items", "tests")
def _items(run: StepRun) -> None:
    source = Provenance(
        document_id="hello/file/setup.py", revision="7" * 40, span=(1, 1), prompt_version="1", model="t"
    )
    run.write(
        Item(
            id=f"i{number}", suite="recall", question=question, answers=("Parcels.",), document_id=source.document_id,
            span=(1, 1), answerable=number == 0, pair_id=None, provenance=source,
        )
        for number, question in enumerate((EXAMPLE, "What does nothing install?"))
    )  # fmt: skip


@step("mixture/assemble", "tests")
def _table(run: StepRun, documents: Artifact, items: Artifact) -> None:
    run.count("tokens", 16000)


@pytest.fixture
def released(store: Store, adapter: Adapter, report: Artifact, tiny_model: Path) -> Store:
    """A store with one release of the tiny model, and what it was made from."""
    model = base_model.direct(store, BaseModelParams(base_model=str(tiny_model)))
    decision = gate.direct(store, report, GateParams())
    pages = documents.direct(store)
    table = _table.direct(store, pages, _items.direct(store))
    sources = index.direct(store, pages, RetrievalParams())
    made = publish.direct(store, adapter(1), model, report, decision, table, ReleaseParams(), FACTS, sources=sources)
    ensure_published(store, made, ReleaseParams(), FACTS)
    return store


@pytest.mark.slow
def test_chat_question_gets_both_answers_and_a_thumb_is_kept(released: Store, page: Page, tmp_path: Path) -> None:
    with open_chat(released, None) as address:
        assert address.startswith("http://127.0.0.1:")
        foreign: list[str] = []
        port = int(address.rstrip("/").rpartition(":")[2])
        stranger = http.client.HTTPConnection("127.0.0.1", port)
        stranger.request("GET", "/config", headers={"Host": "evil.example.org"})
        assert stranger.getresponse().status == 400
        page.on("request", lambda request: foreign.append(request.url) if "127.0.0.1" not in request.url else None)
        page.goto(address)
        expect(page.get_by_text("What does nothing install?")).to_have_count(0)
        page.get_by_role("button", name=EXAMPLE).click()
        expect(page.locator("#question textarea")).to_have_value(EXAMPLE)
        page.get_by_text("Settings").click()
        page.get_by_label("With sources", exact=False).check()
        page.locator("#question textarea").fill(QUESTION)
        page.locator("#ask").click()
        for arm in ("base", "tuned"):
            expect(page.locator(f"#{arm} [data-testid=bot]").last).not_to_have_text("", timeout=60_000)
            expect(page.locator(f"#{arm} [data-testid=user]").last).to_contain_text(QUESTION)
            expect(page.locator(f"#{arm} [data-testid=bot]").last).to_contain_text("Sources:", timeout=60_000)
        page.get_by_text("Settings").click()
        shown = ""
        for _ in range(60):  # until both answers are complete
            before, shown = shown, "".join(page.locator(f"#{arm}").inner_text() for arm in ("base", "tuned"))
            if before == shown:
                break
            page.wait_for_timeout(2000)
        page.screenshot(path=str(tmp_path / "chat.png"))
        page.set_viewport_size({"width": 390, "height": 844})
        page.wait_for_timeout(500)
        page.screenshot(path=str(tmp_path / "phone.png"))
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        place = page.locator("#ask").bounding_box()
        assert place is not None
        assert place["y"] + place["height"] < 844  # both answers, the question and its button on one screen
        page.locator("#tuned").get_by_role("button", name="Like", exact=True).last.click()
        votes = Path(released.root.path) / "feedback" / "hello" / "liked.jsonl"
        for _ in range(100):
            if votes.exists():
                break
            page.wait_for_timeout(100)
        kept = Dialogue.model_validate_json(votes.read_text("utf-8"))
        assert [message.role for message in kept.messages] == ["user", "assistant"]
        assert kept.messages[0].content == QUESTION
        assert "Sources:" not in kept.messages[1].content
        assert kept.provenance.model.startswith("tuned@snapshot/2023-12-31-")
        assert [url for url in foreign if url.startswith("http")] == []


@pytest.mark.slow
def test_ask_prints_the_answer_and_returns_it(released: Store, capsys: pytest.CaptureFixture[str]) -> None:
    answer = ask(released, "hello", QUESTION, max_tokens=8)
    assert answer
    assert capsys.readouterr().out == printable(answer) + "\n"


@pytest.mark.slow
def test_ask_with_sources_says_what_the_answer_rests_on(released: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert "\n\nSources:" in ask(released, "hello", QUESTION, max_tokens=8, sources=True)
    assert "Sources:" in capsys.readouterr().out


def test_printable_text_of_a_model_cannot_control_the_terminal() -> None:
    assert printable("a\x1b[2Jb\tc\nd\x00") == "a\ufffd[2Jb\tc\nd\ufffd"
