"""`rawtune plan`: what a run will take, before anything is spent."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from deployments import console
from deployments.console import open_store
from tasks.base.errors import InputError
from tasks.training.plan.cards import CPU, this_machines

if TYPE_CHECKING:
    from flows.params import RetrainParams
    from flows.planning import RunPlan
    from tasks.synthesis.plan import Share
    from tasks.synthesis.study.forecast import Study
    from tasks.training.plan.cards import Card

RENTED = "h100"
"""What the pool `gpu-lambda` asks for first."""

GIB = 2**30


def plan_preset(params: RetrainParams, gpu: str | None, as_json: bool) -> None:
    """Plans a run and prints it.

    Args:
        params: the run.
        gpu: name of a card that the planner knows, or `cpu`; None = this machine's GPU for the pool `inline` (the CPU
            if it has none), an H100 for any other.
        as_json: one JSON object instead of tables.

    Raises:
        InputError: what the user gave is wrong, or the training does not fit the machine; the plan is printed before.
    """
    from flows.planning import plan_run
    from flows.resolve import resolve, scheduled_start
    from tasks.training.plan.forecast import refuse_hopeless

    card, usd_per_hour = machine(params, gpu)
    store = open_store(params.store)
    store.check_writable()
    with console.step_progress():
        made = plan_run(store, params, resolve(store, params, scheduled_start()), card, usd_per_hour)
    if as_json:
        sys.stdout.write(made.model_dump_json() + "\n")
    else:
        print_plan(made)
    refuse_hopeless(made.training)


def machine(params: RetrainParams, gpu: str | None) -> tuple[Card | None, float | None]:
    """The card that the training is planned for (None: the CPU), and dollars per hour (None: nobody named a price).

    Raises:
        InputError: no such card, or this machine's is not known.
    """
    from tasks.training.plan.cards import CARDS

    inline = params.compute.pool == "inline"
    name = gpu or (this_machines() if inline else RENTED)
    own_price = params.training.usd_per_hour
    if name == CPU:
        return None, own_price
    if name not in CARDS:
        raise InputError(f"--gpu {name}: not known; choose one of {', '.join(CARDS)} or {CPU}")
    card = CARDS[name]
    if own_price or (inline and gpu is None):
        return card, own_price
    return card, card.usd_per_hour or None


def print_plan(made: RunPlan) -> None:
    """Tables for a person: corpus, API, training, and what it comes to."""
    say = console.output.print
    for repo, revision in made.sources.items():
        say(f"[bold]{escape(made.name)}[/]  {escape(repo)} at {revision[:12]}", highlight=False)
    say(corpus_table(made))
    say(api_table(made))
    if made.study is not None:
        say(study_line(made.study), highlight=False)
    for line in training_lines(made):
        say(line, highlight=False)
    for line in made.gate:
        say(f"[bold red]The gate cannot decide[/]  {escape(line)}", highlight=False)
    price = "" if made.training.usd is not None else " without the GPU, whose price is not known"
    say(f"\n[bold]about ${made.usd:,.2f} in all{price}[/]; nothing has been spent", highlight=False)


def corpus_table(made: RunPlan) -> Table:
    """Tokens of the corpus by kind and side, and of the training table by source."""
    table = _table("Text", "tokens", "", "training table", "tokens an epoch")
    corpus = [(name.removeprefix("tokens:").replace(":", ", "), tokens) for name, tokens in made.corpus.tokens.items()]
    corpus.append(("all", sum(made.corpus.tokens.values())))
    sources = [*made.table.sources.items(), ("all", made.table.tokens)]
    for place in range(max(len(corpus), len(sources))):
        left = corpus[place] if place < len(corpus) else ("", None)
        right = sources[place] if place < len(sources) else ("", None)
        table.add_row(left[0], _number(left[1]), "", right[0], _number(right[1]))
    counted = "counted" if made.table.exact else "expected"
    table.caption = f"by the tokenizer {made.corpus.tokenizer}; table {counted}, {made.table.rows:,} rows"
    return table


def api_table(made: RunPlan) -> Table:
    """Calls, tokens and dollars by method."""
    api = made.synthesis
    table = _table(f"Dialogues ({api.provider}{', ' + escape(api.model) if api.model else ''})", "calls", "tokens in",
                   "tokens out", "dollars", "at most")  # fmt: skip
    for name, share in api.methods.items():
        table.add_row(name, *_share(share))
    table.add_row("all", f"{api.calls:,}", "", "", f"{api.usd:,.4f}", f"{api.worst_usd:,.4f}")
    notes = [f"cap budget_usd {api.budget_usd:,.2f}: " + ("enough" if api.within_budget else "[bold red]not enough[/]")]
    if api.dialogues is not None:
        notes.insert(0, f"{api.dialogues:,} dialogues are made already, nothing to ask")
    elif api.cached:
        notes.append(f"{api.cached:,} more calls are answered by the cache")
    if api.batch:
        notes.append("prices of the Batch API")
    table.caption = "; ".join(notes)
    return table


def study_line(study: Study) -> str:
    """What a model will write by itself."""
    price = "price not known" if study.usd is None else f"${study.usd:,.2f}"
    return (
        f"\n[bold]Study material[/]: about {study.dialogues:,} dialogues about {study.materials:,} things, "
        f"{study.prompt_tokens:,} tokens read and {study.written_tokens:,} written in {study.hours * 60:,.0f} minutes, "
        f"{price}; how much of it the checks reject is not known before"
    )


def training_lines(made: RunPlan) -> list[str]:
    """The training, in words."""
    training = made.training
    lines = [f"\n[bold]Training[/] on {training.machine}: {training.tokens:,} tokens in {training.steps:,} steps"]
    if training.peak_bytes is not None and training.free_bytes is not None:
        lines.append(
            f"  {training.backend}, base in {training.precision}, {training.recompute_layers} layers recomputed, "
            f"{training.accumulation} x {training.micro_batch_tokens:,} tokens a step"
        )
        lines.append(f"  because: {escape(training.because)}")
        lines.append(f"  peak memory {training.peak_bytes / GIB:.1f} of {training.free_bytes / GIB:.1f} GiB")
    else:
        lines.append(f"  {escape(training.because)}; backend, precision and memory are decided when it starts")
    price = "price not known" if training.usd is None else f"${training.usd:,.2f} at ${training.usd_per_hour:,.2f}/h"
    lines.append(f"  {training.hours:.2f} h at {training.tokens_per_second:,.0f} tokens/s, {price}")
    limits = [
        f"max_hours {training.max_hours:g}" if training.max_hours else "",
        f"max_usd {training.max_usd:g}" if training.max_usd else "",
    ]
    verdict = f"[bold red]stopped by {', '.join(training.exceeds)}[/]" if training.exceeds else "within them"
    lines.append(f"  limits {', '.join(filter(None, limits)) or 'none'}: {verdict}")
    return lines


def _share(share: Share) -> list[str]:
    return [
        f"{share.calls:,}",
        f"{share.input_tokens:,}",
        f"{share.output_tokens:,}",
        f"{share.usd:,.4f}",
        f"{share.worst_usd:,.4f}",
    ]


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, caption_justify="left", title_justify="left")
    for place, name in enumerate(columns):
        table.add_column(name, justify="left" if place == 0 or name == "training table" else "right")
    return table
