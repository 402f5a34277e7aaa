"""What a search shows: table, picture, winner."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tasks.base.store import Store
from tasks.training.params import Objective, SearchParams
from tasks.training.search.report import front, front_picture, parallel_coordinates, search_report
from tasks.training.search.study import Tried
from tests.pages import parsed, texts


def tried(
    number: int, value: float | None, state: str = "complete", general_loss: float | None = None, **settings: float
) -> Tried:
    return Tried(
        number=number,
        state=state,
        settings=settings,
        value=value,
        looks=(2.0, value or 3.0),
        reason="",
        general_loss=general_loss,
    )


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
    text = Path(made.uri, "search.html").read_text("utf-8")
    page = parsed(text)
    won = "Trial 1 won with learning_rate 0.001, rank 64: held-out loss, nats/token 1.2000."
    assert [one for one in texts(page, "//p") if one.endswith(won)]
    lines = [texts(row, "td") for row in page.xpath("//tbody/tr")]
    assert [line[0] for line in lines] == ["0", "1", "2"]
    assert "2048" in {cell for line in lines for cell in line}  # whole, unlike a learning rate
    assert len(page.xpath("//svg")) == 1
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


TRADED = (
    tried(0, 0.60, general_loss=0.30, rank=64),
    tried(1, 0.40, general_loss=0.02, rank=8),
    tried(2, 0.55, general_loss=0.04, rank=16),
    tried(3, 0.50, general_loss=0.10, rank=32),
    tried(4, None, "pruned", rank=128),
)


def test_front_holds_what_nothing_surpasses_in_both_respects():
    assert [one.number for one in front(TRADED, Objective.RECALL)] == [1, 2, 0]
    assert [one.number for one in front(TRADED, Objective.HELD_OUT_LOSS)] == [1]
    assert front(TRIALS, Objective.RECALL) == []


def test_front_is_drawn_with_its_bound_and_the_winner():
    picture = ET.fromstring(front_picture(TRADED, 2, Objective.RECALL, "recall", 0.05) or "")
    space = "{http://www.w3.org/2000/svg}"
    circles = {one[0].text.split(":")[0]: one for one in picture.iter(f"{space}circle")}
    assert {name: one.get("class") for name, one in circles.items()} == {
        "trial 0": "point", "trial 1": "point", "trial 2": "point winner", "trial 3": "point",
    }  # fmt: skip
    (line,) = picture.iter(f"{space}polyline")
    ends = [tuple(map(float, point.split(","))) for point in line.get("points").split()]
    assert ends == [(float(circles[f"trial {n}"].get("cx")), float(circles[f"trial {n}"].get("cy"))) for n in (1, 2, 0)]
    assert ends == sorted(ends) == sorted(ends, key=lambda end: -end[1])  # more recall is higher up, and costs more
    assert front_picture(TRIALS, 0, Objective.RECALL, "recall", 0.05) is None


def test_report_tells_what_the_winner_forgets_and_that_nothing_was_within_the_bound(store: Store):
    documents = [one.model_dump(mode="json") for one in TRADED]
    params = SearchParams(objective=Objective.RECALL)
    held = search_report.direct(store, trials=documents, winner=2, params=params, max_general_loss=0.05)
    page = parsed(Path(held.uri, "search.html").read_text("utf-8"))
    won = "Trial 2 won with rank 16: recall 0.5500, general loss +0.0400 nats above base."
    assert [one for one in texts(page, "//p") if one.endswith(won)]
    assert len(page.xpath("//svg")) == 2
    assert json.loads(Path(held.uri, "trials.json").read_text("utf-8"))["front"] == [1, 2, 0]
    missed = search_report.direct(store, trials=documents, winner=1, params=params, max_general_loss=0.01)
    assert "no trial was within training.max_general_loss, 0.01, and this one is nearest." in Path(
        missed.uri, "search.html"
    ).read_text("utf-8")
