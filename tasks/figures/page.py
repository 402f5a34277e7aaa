"""The look that every page shares: one HTML file, no script, no network, light and dark, on a phone and on a desk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import jinja2

from tasks.figures import formats

FOLDER: Final = Path(__file__).parent
"""Holds `page.html.jinja`, which a page's own template extends."""

DECISION_SLOT: Final = '<section id="decision"></section>'
"""Where the evaluation's page has room for the gate's decision, which comes after it."""

FILTERS: Final = ("percent", "points", "interval", "pvalue", "count", "nats")


def render(template: Path, finalize: Callable[[Any], Any] | None = None, headline: str = "", **values: Any) -> str:
    """A page from its template; every value is escaped.

    Args:
        template: file that extends `page.html.jinja`; the filters of `FILTERS` are known in it.
        finalize: applied to every value before it is escaped.
        headline: a line above the title: project, sources, model; empty = none.
        values: names that the template uses.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([template.parent, FOLDER]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=finalize,
    )
    environment.filters |= {name: getattr(formats, name) for name in FILTERS}
    return environment.get_template(template.name).render(decision_slot=DECISION_SLOT, headline=headline, **values)
