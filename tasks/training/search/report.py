"""What a search came to: `trials.json` (every trial, the front of objective and general loss, the winner's settings),
`search.svg` and `search.html` (the table, the parallel coordinates and the front; one file, no network).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.training.params import Objective, SearchParams
from tasks.training.search.front import front, front_picture
from tasks.training.search.parallel import parallel_coordinates
from tasks.training.search.study import Tried

VERSION = "2026.11.30"

LABELS = {Objective.HELD_OUT_LOSS: "held-out loss, nats/token", Objective.RECALL: "recall"}

PAGE = Markup("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Hyperparameter search</title><style>
:root{{color-scheme:light dark}}
body{{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}}
table{{border-collapse:collapse;width:100%}}th,td{{text-align:right;padding:.25rem .6rem;border-bottom:1px solid #8884}}
th:first-child,td:first-child,td:last-child,th:last-child{{text-align:left}}.winner td{{font-weight:700}}
div{{overflow-x:auto}}svg{{width:100%;height:auto}}</style></head><body>
<p>{headline}</p><h1>Hyperparameter search</h1><p>{summary}</p>{picture}{front}<div>{table}</div></body></html>
""")


@step("training/search-report", VERSION)
def search_report(
    run: StepRun,
    trials: list[dict[str, Any]],
    winner: int,
    params: SearchParams,
    max_general_loss: float | None = None,
    headline: str = "",
) -> None:
    """Writes table and pictures.

    Args:
        run: gets the files.
        trials: every trial, as `Tried`.
        winner: number of the best.
        params: what was searched for.
        max_general_loss: within which the winner had to be; null = no bound.
        headline: of the page: project, sources, model.
    """
    tried = [Tried.model_validate(one) for one in trials]
    best = next(one for one in tried if one.number == winner)
    picture = parallel_coordinates(tried, winner, LABELS[params.objective])
    traded = front_picture(tried, winner, params.objective, LABELS[params.objective], max_general_loss)
    rows = table_rows(tried)
    document = {
        "objective": params.objective.value,
        "max_general_loss": max_general_loss,
        "winner": best.model_dump(mode="json"),
        "front": [one.number for one in front(tried, params.objective)],
        "trials": trials,
    }
    run.path("trials.json").write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    run.path("search.svg").write_text(picture + "\n", "utf-8")
    told = summary(tried, best, params, max_general_loss)
    run.path("search.html").write_text(page(rows, (picture, traded), told, winner, headline), "utf-8")
    for one in tried:
        run.count(f"trials:{one.state}")


def summary(tried: Sequence[Tried], best: Tried, params: SearchParams, bound: float | None) -> str:
    """One line: how many were tried, which one won, what it forgets."""
    settings = ", ".join(f"{name} {value:.4g}" for name, value in sorted(best.settings.items()))
    pruned = sum(one.state == "pruned" for one in tried)
    return (
        f"{len(tried)} trials, {pruned} pruned. Trial {best.number} won with {settings}: "
        f"{LABELS[params.objective]} {best.value:.4f}{_forgets(best, bound)}."
    )


def _forgets(best: Tried, bound: float | None) -> str:
    if best.general_loss is None:
        return ""
    told = f", general loss {best.general_loss:+.4f} nats above base"
    if bound is None or best.general_loss <= bound:
        return told
    return f"{told}: no trial was within training.max_general_loss, {bound:g}, and this one is nearest"


def table_rows(tried: Sequence[Tried]) -> list[dict[str, Any]]:
    """One row per trial, by number; the same columns in all."""
    names = sorted({name for one in tried for name in one.settings})
    return [
        {"trial": one.number, "state": one.state}
        | {name: float(f"{one.settings[name]:.4g}") if name in one.settings else None for name in names}
        | {"looks": len(one.looks), "last held-out loss": round(one.looks[-1], 4) if one.looks else None}
        | {"general loss above base": None if one.general_loss is None else round(one.general_loss, 4)}
        | {"objective": None if one.value is None else round(one.value, 4), "why": one.reason}
        for one in tried
    ]


def page(
    rows: Sequence[dict[str, Any]], pictures: tuple[Markup, Markup | None], line: str, winner: int, headline: str
) -> str:
    """The page as HTML."""
    head = Markup("").join(Markup("<th>{}</th>").format(name) for name in rows[0])
    body = [
        Markup("<tr{}>{}</tr>").format(
            Markup(' class="winner"') if row["trial"] == winner else "",
            Markup("").join(
                Markup("<td>{}</td>").format("–" if value is None else _cell(value)) for value in row.values()
            ),
        )
        for row in rows
    ]
    table = Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(head, Markup("").join(body))
    picture, traded = pictures
    return PAGE.format(headline=headline, summary=line, picture=picture, front=traded or "", table=table)


def _cell(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
