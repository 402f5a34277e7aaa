"""The report in a browser: a phone and a desk, light and dark, and answers that try to run."""

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from tasks.base.records import Dialogue, Document
from tasks.base.store import Store
from tasks.evaluation.params import ItemsParams, ReportParams
from tasks.evaluation.report import report
from tests.deployments.browser import pictures
from tests.evaluation.conftest import answers_of, artifact_of, asked_of

HOSTILE = (
    "<script>document.title='owned'</script><img src=http://127.0.0.1:9/x onerror=\"document.title='owned'\">"
    "</pre></main><style>body{display:none}</style><svg onload=\"document.title='owned'\">" + "A" * 100_000
)


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_fits_its_width_asks_nobody_and_runs_nothing(
    store: Store, train: list[Document], held_out: list[Document], talks: list[Dialogue], width: int, scheme: str
) -> None:
    questions = asked_of(train, held_out, ItemsParams(items=40, general_items=10))
    arms = [
        answers_of(store, "base", dict.fromkeys((item.id for item in questions), HOSTILE)),
        answers_of(store, "tuned", {item.id: item.answers[0] for item in questions}),
    ]
    made = report.direct(
        store,
        items=artifact_of(store, records=questions),
        answers=arms,
        adapter=None,
        table=None,
        params=ReportParams(),
    )
    requests: list[str] = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.on("request", lambda request: requests.append(request.url))
        page.goto(Path(made.uri, "report.html").as_uri())
        page.screenshot(path=str(pictures() / f"report-{width}-{scheme}.png"), full_page=True)
        assert page.title() == "Evaluation report"
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        ground, ink = page.evaluate(
            "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
            ".map(colour => colour.match(/\\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0))"
        )
        assert (ground > ink) == (scheme == "light")
        assert page.get_by_text("What it learned, by kind of question").is_visible()
        page.locator("details").first.click()
        assert page.get_by_text("<script>").first.is_visible()  # shown as text
        browser.close()
    assert len(requests) == 1  # the file itself
