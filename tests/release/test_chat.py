"""The chat in headless Chromium: a question asked, both answers appear, a thumb becomes a record."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from deployments.chat_app import open_chat
from deployments.serve import ask, printable
from tasks.base.records import Dialogue
from tasks.base.store import Store
from tasks.release.params import ReleaseParams
from tasks.release.publish import ensure_published
from tests.release.conftest import FACTS, Release

QUESTION = "What does setup.py do?"


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        try:
            yield browser.new_page(viewport={"width": 1280, "height": 900})
        finally:
            browser.close()


@pytest.fixture
def released(store: Store, made_whole: Release) -> Store:
    """A store with one release of the tiny model."""
    ensure_published(store, made_whole(1), ReleaseParams(), FACTS)
    return store


@pytest.mark.slow
def test_chat_question_gets_both_answers_and_a_thumb_is_kept(released: Store, page: Page, tmp_path: Path) -> None:
    with open_chat(released, None) as address:
        assert address.startswith("http://127.0.0.1:")
        foreign: list[str] = []
        page.on("request", lambda request: foreign.append(request.url) if "127.0.0.1" not in request.url else None)
        page.goto(address)
        page.locator("#question textarea").fill(QUESTION)
        page.locator("#ask").click()
        for arm in ("base", "tuned"):
            expect(page.locator(f"#{arm} [data-testid=bot]").last).not_to_have_text("", timeout=60_000)
            expect(page.locator(f"#{arm} [data-testid=user]").last).to_contain_text(QUESTION)
        page.wait_for_timeout(3000)
        page.screenshot(path=str(tmp_path / "chat.png"))
        page.locator("#tuned").get_by_role("button", name="Like", exact=True).last.click()
        votes = Path(released.root.path) / "feedback" / "hello" / "liked.jsonl"
        for _ in range(100):
            if votes.exists():
                break
            page.wait_for_timeout(100)
        kept = Dialogue.model_validate_json(votes.read_text("utf-8"))
        assert [message.role for message in kept.messages] == ["user", "assistant"]
        assert kept.messages[0].content == QUESTION
        assert kept.provenance.model.startswith("tuned@snapshot/2023-12-31-")
        assert [url for url in foreign if url.startswith("http")] == []


@pytest.mark.slow
def test_ask_prints_the_answer_and_returns_it(released: Store, capsys: pytest.CaptureFixture[str]) -> None:
    answer = ask(released, "hello", QUESTION, max_tokens=8)
    assert answer
    assert capsys.readouterr().out == printable(answer) + "\n"


def test_printable_text_of_a_model_cannot_control_the_terminal() -> None:
    assert printable("a\x1b[2Jb\tc\nd\x00") == "a\ufffd[2Jb\tc\nd\ufffd"
