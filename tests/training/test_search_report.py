"""What a search shows: table, picture, winner."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tasks.base.store import Store
from tasks.training.params import SearchParams
from tasks.training.search.parallel import parallel_coordinates
from tasks.training.search.report import search_report
from tasks.training.search.study import Tried


def tried(number: int, value: float | None, state: str = "complete", **settings: float) -> Tried:
    return Tried(number=number, state=state, settings=settings, value=value, looks=(2.0, value or 3.0), reason="")


TRIALS = (
    tried(0, 1.5, rank=8, learning_rate=1e-4),
    tried(1, 1.2, rank=64, learning_rate=1e-3),
    tried(2, None, "pruned", rank=2048, learning_rate=1e-2),
)


def test_picture_is_well_formed_has_an_axis_per_setting_and_dashes_what_has_no_objective():
    picture = ET.fromstring(parallel_coordinates(TRIALS, 1, "held-out <loss>"))
    space = "{http://www.w3.org/2000/svg}"
    names = [text.text for text in picture.iter(f"{space}text") if text.get("class") == "name"]
    assert names == ["learning rate", "rank", "held-out <loss>"]
    lines = {line[0].text.split(" ")[1]: line for line in picture.iter(f"{space}polyline")}
    assert [len(lines[number].get("points").split()) for number in "012"] == [3, 3, 2]
    assert (lines["1"].get("class"), lines["2"].get("class")) == ("trial complete winner", "trial pruned")
    heights = [float(lines[number].get("points").split()[0].split(",")[1]) for number in "012"]
    assert heights[0] - heights[1] == pytest.approx(heights[1] - heights[2], abs=0.2)  # a logarithmic axis, 1e-4 below


def test_report_holds_table_picture_and_winner(store: Store):
    made = search_report.direct(
        store, trials=[one.model_dump(mode="json") for one in TRIALS], winner=1, params=SearchParams()
    )
    assert made.counts == {"trials:complete": 2, "trials:pruned": 1}
    page = Path(made.uri, "search.html").read_text("utf-8")
    assert "Trial 1 won with learning_rate 0.001, rank 64: held-out loss, nats/token 1.2000." in page
    assert page.count("<tr") == 4
    assert "<td>2048</td>" in page  # whole, unlike a learning rate
    assert "<svg" in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
