"""A person at the Prefect UI: opens a deployment's form in headless Chromium, changes fields, presses Submit."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from playwright.sync_api import Page, sync_playwright

TYPED = ("repository", "date", "base_model", "publish_to", "budget_usd", "overrides")
"""The form's text fields in its order; two more are lists."""


@contextmanager
def chromium_page() -> Iterator[Page]:
    """A tall page, so that a form shows much of itself in a screenshot."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        try:
            yield browser.new_page(viewport={"width": 1280, "height": 1400})
        finally:
            browser.close()


def pictures() -> Path:
    """Where the screenshots go: RAWTUNE_PICTURES, else below the ignored folder of the checkout."""
    folder = Path(os.environ.get("RAWTUNE_PICTURES") or Path(__file__).resolve().parents[2] / ".rawtune/pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def press_run(
    page: Page,
    ui: str,
    deployment: UUID | str,
    fields: Mapping[str, str],
    until: str = "publish",
    picture: str = "form",
) -> None:
    """Fills in the run form of a deployment and submits it.

    Args:
        page: of the browser.
        ui: the server's address, without /api.
        deployment: its id.
        fields: what is typed into the form's fields, by their names.
        until: phase to choose from the list.
        picture: first part of the screenshots' names.
    """
    page.goto(f"{ui}/deployments/deployment/{deployment}/run")
    page.get_by_text("Where every parameter comes from").wait_for(timeout=120_000)
    page.screenshot(path=str(pictures() / f"{picture}.png"))
    typed = page.locator("textarea")
    first = typed.count() - len(TYPED)  # a preset that is not chosen from a list is typed too
    for name, text in fields.items():
        typed.nth(first + TYPED.index(name)).fill(text)
    if until != "publish":
        phase = page.locator("button", has_text=re.compile(r"^\s*publish\s*$")).last
        phase.scroll_into_view_if_needed()
        phase.press("ArrowDown")  # opens the list
        page.locator(".p-select-option", has_text=until).click()
        page.locator("button", has_text=re.compile(rf"^\s*{until}\s*$")).last.wait_for()
    page.screenshot(path=str(pictures() / f"{picture}-end.png"))
    with page.expect_response(lambda answer: answer.url.endswith("/create_flow_run"), timeout=60_000) as created:
        page.get_by_role("button", name="Submit").click()
    assert created.value.ok, created.value.text()
