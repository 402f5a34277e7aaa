"""`rawtune init`: a commented preset of one's own, from three questions and a look at the machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import typer

from deployments import console
from deployments.presets import load_preset, project_of
from tasks.base.errors import InputError
from tasks.training.plan.cards import CPU, this_machines

SMALL: Final = "Qwen/Qwen2.5-1.5B-Instruct"
LARGE: Final = "mistralai/Mistral-7B-Instruct-v0.2"

SUGGESTED: Final = {CPU: "stub", "t4": SMALL, "l4": SMALL}
"""Base model by this machine's card; any larger card takes `LARGE`."""

RATES: Final = {SMALL: "2.3e-4"}
"""Learning rate by base model, as `presets/researched.yaml` derives it; any other is taken for one of 7 billion."""

RENTED: Final = "rented"


def write_preset(repo: str | None, model: str | None, gpu: str | None, file: Path | None) -> Path:
    """Asks what is not given, on a terminal, and writes the preset.

    Args:
        repo: OWNER/NAME on GitHub, a path or a URL.
        model: base model.
        gpu: `here` or `rented`.
        file: where the preset goes; None = `<project>.yaml` here.

    Raises:
        InputError: the file is there already, or an answer is no parameter.
    """
    card = this_machines()
    has_gpu = card != CPU
    seen = f"this machine has {'a GPU, ' + card if has_gpu else 'no GPU: only the small stub model trains here'}"
    console.errors.print(seen, highlight=False)
    repo = repo or _ask("Repository (OWNER/NAME, path or URL)", ".")
    gpu = gpu or _ask(f"GPU (here, {RENTED})", "here")
    if gpu not in ("here", RENTED):
        raise InputError(f"--gpu {gpu}: say `here` or `{RENTED}`")
    model = model or _ask("Base model", LARGE if gpu == RENTED else SUGGESTED.get(card, LARGE))
    project = project_of(repo)
    target = file or Path(f"{project}.yaml")
    if target.exists():
        raise InputError(f"{target} is there already; name another file with --output")
    target.write_text(_text(project, repo, model, gpu), "utf-8")
    load_preset(str(target))
    return target


def _ask(question: str, default: str) -> str:
    if not sys.stdin.isatty():
        return default
    return str(typer.prompt(question, default=default, err=True))


def _text(project: str, repo: str, model: str, gpu: str) -> str:
    stub = model == "stub"
    rented, stub = gpu == RENTED, model == "stub"
    lines: list[tuple[str, str]] = [
        ("# Made by `rawtune init`; docs/parameters.md lists every parameter.", ""),
        (f"name: {project}", ""),
        ("sources:", ""),
        (f"  - repo: {_quoted(repo)}", ""),
        ("    as_of: null", "the default branch's head when the run is due; or a day such as 2026-11-30"),
        ("    pulls: {limit: 1000}", "the newest; null = none. GitHub wants GITHUB_TOKEN in the environment"),
        ("    wiki: auto", ""),
        ("synthesis:", ""),
        ("  provider: template", "dialogues without model and network; openai asks one, up to budget_usd"),
        *([] if stub else [("  wordings: 16", "of each fact: few wordings are learnt by heart and no more")]),
        ("dataset:", ""),
        (f"  max_tokens: {512 if stub else 8192}", "of a training row"),
        *([("  train_tokens: 16000", "what two cores learn in some minutes; null = everything")] if stub else []),
        ("training:", ""),
        (f"  base_model: {_quoted(model)}", ""),
        *(
            []
            if stub
            else [
                ("  rank: 64", ""),
                ("  alpha: 64", ""),
                (f"  learning_rate: {RATES.get(model, '1.1e-4')}", "a smaller model wants more"),
            ]
        ),
        ("  max_hours: 4", "ends with a checkpoint, from which the next run goes on"),
        ("  max_usd: 15", ""),
        ("release:", ""),
        ("  repo_id: null", "OWNER/NAME on the Hub; null = a folder in the store"),
        ("compute:", ""),
        (f"  pool: {'gpu-lambda' if rented else 'inline'}", "a Prefect work pool; inline = this machine"),
        (f"store: {'s3://BUCKET/PREFIX' if rented else './.rawtune'}", "s3:// where several machines work together"),
    ]
    return "".join(f"{text:<28} # {comment}\n" if comment else f"{text}\n" for text, comment in lines)


def _quoted(text: str) -> str:
    return text if text.replace("/", "").replace(".", "").replace("-", "").replace("_", "").isalnum() else repr(text)
