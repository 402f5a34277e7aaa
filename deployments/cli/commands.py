"""The command line `rawtune`.

Exit codes: 0 done, 1 failed, 2 wrong usage or input, 3 refused by the gate. With `--json` standard output carries
exactly one JSON object, also on 1 and 3; everything else goes to standard error.
"""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
import yaml

from deployments import console, interruption
from deployments.cli.gpu import gpu_app
from deployments.cli.releasing import release_app
from deployments.cli.running import RunFailed
from deployments.console import DIALOGUES, HISTORY, LEDGER, Json, StoreOption, open_store
from flows.params import Phase
from tasks.base.errors import InputError, RawtuneError

if TYPE_CHECKING:
    from flows.params import RetrainParams
    from tasks.base.ledger import RunReport

app = typer.Typer(
    name="rawtune",
    help="Turns repositories, pull requests and wikis into a fine-tuned model, measured and published.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)

Preset = Annotated[str, typer.Argument(help="A YAML file, or the name of a preset that comes with rawtune.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="key.path=value; may be repeated.")]
Release = Annotated[str | None, typer.Argument(help="NAME or NAME@REVISION; the store's only project if left out.")]
Sources = Annotated[
    bool, typer.Option("--sources", help="Show the model passages of the sources, and name those it rests on.")
]


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        sys.stdout.write(f"rawtune {version('rawtune')}\n")
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which it is.")
    ] = False,
) -> None:
    """Turns repositories, pull requests and wikis into a fine-tuned model, measured and published."""


@app.command()
def init(
    repo: Annotated[
        str | None, typer.Argument(help="OWNER/NAME on GitHub, a path or a URL; asked if left out.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Base model; asked if left out.")] = None,
    gpu: Annotated[str | None, typer.Option(help="here or rented; asked if left out.")] = None,
    output: Annotated[Path | None, typer.Option(help="The file; <project>.yaml if left out.")] = None,
) -> None:
    """Write a commented preset of one's own, and say what comes next."""
    from deployments.cli.init import write_preset

    made = write_preset(repo, model, gpu, output)
    console.print_places({"preset": str(made), "next": f"rawtune plan {made}   (tokens, hours, dollars)"})
    console.print_places({"then": f"rawtune retrain {made}, or rawtune up {made} for a form and a schedule"})


@app.command()
def doctor(
    pool: Annotated[str | None, typer.Option(help="Also look whether a worker takes this pool.")] = None,
    store: StoreOption = None,
) -> None:
    """Say whether everything that a run needs is there, and what to do if not."""
    from deployments.cli.doctor import examine

    if not examine(store, pool):
        raise typer.Exit(1)


@app.command("dry-run")
def dry_run(
    repo: Annotated[
        str | None, typer.Option(help="Path, URL or OWNER/NAME of a git repository; this directory's if left out.")
    ] = None,
    store: StoreOption = None,
    json: Json = False,
) -> None:
    """Run every step on a CPU with a small model, in minutes, on a real repository."""
    changes = [f"sources.0.repo={_quoted(repo)}"] if repo else []
    _run("dry-run", changes, store, Phase.PUBLISH, json)


@app.command()
def retrain(
    preset: Preset,
    changes: Set = None,
    until: Annotated[Phase, typer.Option(help="The phase after which the run stops.")] = Phase.PUBLISH,
    store: StoreOption = None,
    json: Json = False,
) -> None:
    """Run the workflow of a preset."""
    _run(preset, changes or [], store, until, json)


@app.command()
def plan(
    preset: Preset,
    changes: Set = None,
    gpu: Annotated[
        str | None,
        typer.Option(help="h100, h200, a100-80, a100-40, l4, t4 or cpu; what the run would use if left out."),
    ] = None,
    store: StoreOption = None,
    json: Json = False,
) -> None:
    """Say what a run will take before anything is spent: tokens, API calls, GPU hours, memory and dollars."""
    from deployments.cli.planning import plan_preset

    plan_preset(_load(preset, changes or [], store), gpu, json)


@app.command()
def search(
    preset: Preset,
    changes: Set = None,
    until: Annotated[Phase, typer.Option(help="The last phase of the winner's retraining.")] = Phase.EVALUATE,
    store: StoreOption = None,
    json: Json = False,
) -> None:
    """Try training settings (section `search`), then retrain the winner on all data."""
    from deployments.cli.running import run_search

    _run(preset, changes or [], store, until, json, run_search)


@app.command()
def explain(preset: Preset, changes: Set = None, store: StoreOption = None, json: Json = False) -> None:
    """Say for each step whether its artifact is there, and if not which part of its key differs."""
    from deployments.cli.explaining import explain_preset

    params = _load(preset, changes or [], store)
    explain_preset(params, json)


@app.command()
def show(
    what: Annotated[
        str | None,
        typer.Argument(
            help="ROOM, ROOM/NAME, an artifact's uri, `ledger`: cost by month, or `history`: a page of recall, general "
            "loss and cost by snapshot; a list if left out."
        ),
    ] = None,
    records: Annotated[int | None, typer.Option(help="How many records to print, 3 if left out.", min=0)] = None,
    method: Annotated[str | None, typer.Option(help="With `synthesis/dialogues`: only this method's.")] = None,
    start: Annotated[int, typer.Option(help="With `synthesis/dialogues`: how many to pass over.", min=0)] = 0,
    edited: Annotated[
        Path | None, typer.Option("--import", help="With `synthesis/dialogues`: take an edited file over.")
    ] = None,
    editor: Annotated[str | None, typer.Option(help="Who edited it; the login name if left out.")] = None,
    export: Annotated[
        tuple[str, Path] | None,
        typer.Option(
            metavar="FORMAT PATH",
            help="With `evaluation/items` or `mixture/leak-guard`: write the questions for `lm-eval` or `inspect`; "
            "with `synthesis/dialogues`: `jsonl`, a file to edit.",
        ),
    ] = None,
    store: StoreOption = None,
    json: Json = False,
) -> None:
    """Show what a step made last: counts, inputs, files and its first records; dialogues with source and scores."""
    from deployments.cli.showing import find, show_artifacts

    place = open_store(store)
    if what is None:
        from deployments.cli.showing import show_list

        show_list(place, json)
        return
    if what == LEDGER:
        from deployments.cli.monthly import show_months

        show_months(place, json)
        return
    if what == HISTORY:
        from deployments.cli.history import show_history

        show_history(place, json)
        return
    found = find(place, what)
    if what == DIALOGUES:
        from deployments.cli.reviewing import Review, review

        review(place, found[0], Review(method, start, records, export, edited, editor or getpass.getuser()), json)
    elif method or start or edited or editor:
        raise InputError(f"{what}: only {DIALOGUES} has --method, --start, --import and --editor")
    elif export is not None:
        from deployments.cli.exporting import export_questions

        export_questions(place, found, *export)
    else:
        show_artifacts(place, found, 3 if records is None else records, json)


@app.command()
def compare(
    first: Annotated[
        str,
        typer.Argument(help="A release, [NAME@]REVISION, a run's id or a report's uri; A,B,C are seeds of one recipe."),
    ],
    second: Annotated[str | None, typer.Argument(help="The same; the newest report if left out.")] = None,
    arm: Annotated[str, typer.Option(help="Whose answers.")] = "tuned",
    page: Annotated[Path | None, typer.Option(help="Write the comparison there as HTML.")] = None,
    store: StoreOption = None,
    json: Json = False,
) -> None:
    """Put two evaluations beside each other, paired by question: recipes, seeds or months."""
    from deployments.cli.comparing import compare as compare_reports

    compare_reports(open_store(store), first, second, arm, page, json)


@app.command()
def chat(
    release: Release = None,
    port: Annotated[int, typer.Option(help="Port on loopback; 0 takes a free one.")] = 0,
    share: Annotated[
        bool, typer.Option("--share", help="Open the page to the internet through Gradio's relay.")
    ] = False,
    sources: Sources = False,
    store: StoreOption = None,
) -> None:
    """Open a chat page: base and tuned model side by side. Needs the extra `chat`."""
    from deployments.chat.page import chat as open_page

    open_page(open_store(store), release, port, share, sources)


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="What to ask.")],
    release: Annotated[str | None, typer.Option(help="NAME or NAME@REVISION.")] = None,
    model: Annotated[str, typer.Option(help="tuned or base.")] = "tuned",
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest answer, in tokens.")] = 256,
    sources: Sources = False,
    store: StoreOption = None,
) -> None:
    """Ask a released model one question in the terminal."""
    from deployments.chat.terminal import ask as ask_release

    ask_release(open_store(store), release, question, model, max_tokens, sources)


@app.command()
def serve(
    release: Release = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 8010,
    sources: Sources = False,
    store: StoreOption = None,
) -> None:
    """Serve a release with OpenAI's protocol, for editors; Ctrl-C ends it."""
    from deployments.chat.terminal import serve as serve_release

    serve_release(open_store(store), release, host, port, sources)


@app.command()
def mcp(release: Release = None, store: StoreOption = None) -> None:
    """Give a release to an agent or editor as tools: ask, search, explain_symbol, what_changed (MCP over stdio)."""
    from deployments.chat.agent import serve_tools

    serve_tools(open_store(store), release)


@app.command()
def up(
    presets: Annotated[
        list[str] | None, typer.Argument(help="YAML files or names; those that come with rawtune if left out.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Of the UI; 4300 or a free one if left out.")
    ] = None,
    store: StoreOption = None,
) -> None:
    """Start a Prefect server and a worker with presets as forms, and print the UI's address; Ctrl-C ends them."""
    from deployments.cli.up import serve_everything

    serve_everything(open_store(store), presets or [], port)


@app.command()
def deploy(
    presets: Annotated[list[str], typer.Argument(help="YAML files or names of presets.")],
    changes: Set = None,
    store: StoreOption = None,
) -> None:
    """Hand presets to the Prefect server at PREFECT_API_URL as forms, with a monthly schedule that is switched off."""
    from deployments.cli.up import deploy as deploy_presets

    deploy_presets(store, presets, changes or [])


@app.command()
def prune(
    days: Annotated[float, typer.Option(min=0, help="Keep what was made or used in the last so many days.")] = 90,
    dry: Annotated[bool, typer.Option("--dry", help="Only say what would go.")] = False,
    store: StoreOption = None,
) -> None:
    """Free what no release and no recent run needs."""
    from deployments.cli.pruning import prune as prune_store

    gone = prune_store(open_store(store), days, dry)
    console.output.print(
        f"{'would free' if dry else 'freed'} {gone.bytes / 1e6:,.1f} MB: {gone.manifests} manifests, "
        f"{gone.blobs} artifacts, {gone.cache_files} cache files",
        highlight=False,
    )


app.add_typer(release_app, name="release")
app.add_typer(gpu_app, name="gpu")


def _load(preset: str, changes: list[str], store: str | None) -> RetrainParams:
    from deployments.presets import load_preset

    return load_preset(preset, [*changes, *([f"store={_quoted(store)}"] if store else [])])


def _run(
    preset: str,
    changes: list[str],
    store: str | None,
    until: Phase,
    json: bool,
    run: Callable[[RetrainParams, Phase], RunReport] | None = None,
) -> None:
    from deployments.cli.running import prefect_server, run_retrain
    from deployments.cli.summary import print_refusal, print_summary

    params = _load(preset, changes, store)
    place = open_store(params.store)
    place.check_writable()
    if until is Phase.PUBLISH:
        for line in params.gate_shortfalls():
            console.warn(line)
    try:
        with console.step_progress(), prefect_server(place):
            report = (run or run_retrain)(params, until)
    except RunFailed as error:
        if error.report.decision and not json:
            print_refusal(place, error.report)
        raise
    if json:
        console.print_json(report)
    else:
        print_summary(place, report)


def _quoted(text: str) -> str:
    return yaml.safe_dump(text, default_style='"').strip()


def main() -> None:
    """Runs the command and turns our own errors and Ctrl-C into one line and an exit code."""
    interruption.on_interrupt()
    try:
        app()
    except KeyboardInterrupt:
        interruption.end()
    except SystemExit as done:
        if done.code == interruption.EXIT_CODE:  # typer's for Ctrl-C
            interruption.end()
        raise
    except RunFailed as error:
        if "--json" in sys.argv:
            console.print_json(error.report)
        console.fail(str(error))
        raise SystemExit(error.exit_code) from None
    except RawtuneError as error:
        console.fail(str(error))
        raise SystemExit(error.exit_code) from None
