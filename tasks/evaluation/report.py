"""The evaluation report: every answer's scores, the summary for gate and model card, and the page.

summary.json:
    verdict, items, confidence, leaks (null if the items were not guarded), kl_to_base
    arms        arm → suite → {estimate, low, high, items, documents, decides, kinds, right}; `guess` is the control
                without a model, `right` counts wholly right answers, `decides` says whether there are enough questions;
                of recall, paraphrase and held-out `estimate` is the average over kinds
    kinds       kind of recall question → arm → as in arms
    suites      suite → {metric, items, documents}
    differences suite → tuned minus base: {estimate, low, high, items, documents, decides, kinds, wins, losses,
                p, p_holm, mcnemar, minimum_detectable_effect, tone}; tone is better, worse or open
    contrasts   other arm → suite → tuned minus that arm, as in differences
    previous    null without an earlier report, else {name, shared, only_now, only_then, differences}: numbers of
                questions, and suite → tuned minus the earlier tuned model, as in differences, with the means then, now,
                guess
    code        arm → {identifier_f1, parse_rate, verbatim_words} of code answers
    abstention  arm → {recall, false_refusals}
    citations   arm with retrieval → {answers, shown, precision}: shares of answers whose right passage was shown,
                and of cited passages that are the right one, as in arms
    losses      arm → stream → {loss, tokens}, nats per token
    judge       arm → {judge, items, correct, partial, wrong, abstain, mean, labelled, kappa, abstention_agreement,
                points: {items, agreement, kappa} of judge and points on a person's own questions}
    manner      arm → {answers, distinct_openings, words, backticks, recited} of general answers in words (`manners.py`)
    cost        tokens: trained (in the table), answered (by arm), trained_per_recall_point (null without a gain)
Shares are between 0 and 1. `low` and `high` are null where a single document gives no interval. `forgetting` is the sum
of the general suites.

What the figures rest on (commits, versions, parameters, content hashes) names no machine.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from tasks.base.artifacts import Artifact
from tasks.base.records import Answer, Chunk, Dialogue, Item, Split
from tasks.base.runs import StepRun, read_json
from tasks.base.steps import step
from tasks.evaluation import statistics
from tasks.evaluation.citations import citation_figures, shown_by
from tasks.evaluation.comparison import Earlier, against, read_earlier
from tasks.evaluation.judge import Judgement, judged, regraded
from tasks.evaluation.manners import manner, trained_windows
from tasks.evaluation.page import Facts, render_page
from tasks.evaluation.params import Arm, ReportParams, Suite
from tasks.evaluation.scoring import Score, metric_of, score_arm

VERSION = "2026.11.30.7"

LIBRARIES: Final = ("rawtune", "torch", "transformers", "peft", "trl", "tokenizers", "bm25s", "rapidfuzz")
"""Packages that decide figures."""


def summarise(
    items: Sequence[Item],
    scores: statistics.Scores,
    losses: dict[str, dict[str, Any]],
    kl_to_base: float | None,
    leaks: int | None,
    params: ReportParams,
    earlier: Earlier | None = None,
    table_tokens: int | None = None,
) -> dict[str, Any]:
    """The content of summary.json, in the order of the docstring above.

    Args:
        items: what was asked.
        scores: arm → scores, `guess` included.
        losses: arm → stream → `loss`, `tokens`.
        kl_to_base: mean divergence of the tuned model on general text.
        leaks: items that the leak guard took out; null if it was not asked.
        params: confidence.
        earlier: an earlier report to compare with.
        table_tokens: tokens of the training table.
    """
    arms = statistics.arm_figures(scores, params)
    gains = statistics.differences(scores, Arm.TUNED, Arm.BASE, params)
    kinds = statistics.kind_figures(scores, params)
    return {
        "verdict": statistics.verdict(arms, gains, losses),
        "items": len(items),
        "confidence": params.confidence,
        "leaks": leaks,
        "kl_to_base": kl_to_base,
        "arms": arms,
        "kinds": kinds,
        "suites": {suite: _suite(suite, items, scores) for suite in statistics.suite_names(scores)},
        "differences": gains,
        "previous": against([one for scored in scores.values() for one in scored], earlier, params)
        if earlier
        else None,
        "contrasts": {
            arm: statistics.differences(scores, Arm.TUNED, arm, params)
            for arm in scores
            if arm not in (Arm.BASE, Arm.TUNED) and Arm.TUNED in scores
        },
        "code": statistics.code_figures(scores),
        "abstention": statistics.abstention(items, scores),
        "losses": losses,
        "cost": _cost(scores, gains, table_tokens),
    }


@step("evaluation/report", VERSION)
def report(
    run: StepRun,
    items: Artifact,
    answers: list[Artifact],
    adapter: Artifact | None,
    table: Artifact | None,
    params: ReportParams,
    previous: Artifact | None = None,
    judgements: list[Artifact] | None = None,
    chunks: Artifact | None = None,
    dialogues: Artifact | None = None,
    data: Artifact | None = None,
    recipe: dict[str, Any] | None = None,
    headline: str = "",
) -> None:
    """Scores the answers and writes scores.jsonl, summary.json and report.html.

    Args:
        run: this execution.
        items: guarded questions.
        answers: of evaluation/answer, one per arm.
        adapter: for the training curve.
        table: what was trained on, for the cost.
        params: confidence.
        previous: an earlier artifact of this step or a release, which holds its files.
        judgements: of evaluation/judge, one per judged arm.
        chunks: raw text, whose trained side is looked for in general answers.
        dialogues: the same of dialogues' answers.
        data: of mixture/data-report, whose figures the page repeats.
        recipe: the run's parameters that text, training and questions come from, by section, for the page's lineage.
        headline: of the page: project, sources, model.
    """
    asked = list(run.read(items, Item))
    scores: dict[str, list[Score]] = {statistics.GUESS: score_arm(statistics.GUESS, asked, guesses(asked))}
    texts: dict[str, dict[str, Answer]] = {}
    losses: dict[str, dict[str, Any]] = {}
    citations: dict[str, dict[str, Any]] = {}
    by_id = {item.id: item for item in asked}
    divergence: float | None = None
    for artifact in answers:
        measured = read_json(run.store, artifact, "losses.json")
        arm = str(measured["arm"])
        texts[arm] = {answer.item_id: answer for answer in run.read(artifact, Answer)}
        scores[arm] = score_arm(arm, asked, texts[arm].values())
        if measured["streams"]:
            losses[arm] = {
                name: {"loss": stream["loss"], "tokens": stream["tokens"]}
                for name, stream in measured["streams"].items()
            }
        about = citation_figures(shown_by(run.store, artifact), by_id, params.confidence)
        citations |= {arm: about} if about else {}
        divergence = measured["kl_to_base"] if arm == Arm.TUNED else divergence
    earlier = read_earlier(run.store, previous) if previous else None
    tokens = table.counts.get("tokens") if table else None
    leaks = items.counts.get("leaks")
    judges: dict[str, dict[str, Any]] = {}
    for artifact in judgements or ():
        calibration = read_json(run.store, artifact, "calibration.json")
        grades, arm = list(run.read(artifact, Judgement)), str(calibration["arm"])
        judges[arm] = judged(grades, scores.get(arm, ()), calibration)
        scores[arm] = regraded(scores.get(arm, ()), grades)
    summary = summarise(asked, scores, losses, divergence, leaks, params, earlier, tokens)
    summary["citations"] = citations
    summary["judge"] = judges
    windows = trained_windows(_trained(run, chunks, dialogues)) if chunks or dialogues else None
    found = {arm: manner(asked, by_item, windows) for arm, by_item in texts.items()}
    summary["manner"] = {arm: figures for arm, figures in found.items() if figures is not None}
    if judges and Suite.OWN in summary["suites"]:
        summary["suites"][Suite.OWN]["metric"] = "judge's grade"
    run.path("summary.json").write_text(
        json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False) + "\n", "utf-8"
    )
    every = [one for found in scores.values() for one in found]
    every.sort(key=lambda one: one.id)
    run.write(every, "scores.jsonl")
    facts = Facts(
        loss_log=_json_lines(run, adapter, "loss.jsonl") if adapter else [],
        leaks=_json_lines(run, items, "hits.jsonl") if leaks else [],
        data=read_json(run.store, data, "summary.json") if data else None,
        lineage=[
            *revisions(asked),
            *versions(),
            *hashes([*_named(items, answers, adapter, table), ("data report", data)]),
        ],
        parameters=parameters(recipe or {}),
        headline=headline,
    )
    page = render_page(summary, asked, texts, scores, facts)
    run.path("report.html").write_text(page, "utf-8")


def guesses(items: Sequence[Item]) -> Iterator[Answer]:
    """The control's answers, which `evaluation/items` wrote beside each question that can be guessed."""
    for item in items:
        if item.guess is not None:
            yield Answer(item_id=item.id, text=item.guess, tokens=0, finished=True)


def _trained(run: StepRun, chunks: Artifact | None, dialogues: Artifact | None) -> Iterator[str]:
    """What is trained on: raw text, and what the assistant says in dialogues."""
    for chunk in run.read(chunks, Chunk) if chunks else ():
        if chunk.split is Split.TRAIN:
            yield chunk.text
    for dialogue in run.read(dialogues, Dialogue) if dialogues else ():
        if dialogue.split is Split.TRAIN:
            yield from (turn.content for turn in dialogue.messages if turn.role == "assistant")


def _cost(scores: statistics.Scores, gains: dict[str, dict[str, Any]], table_tokens: int | None) -> dict[str, Any]:
    gain = 100 * gains.get(Suite.RECALL, {}).get("estimate", 0)
    return {
        "trained": table_tokens,
        "answered": {
            arm: sum(one.tokens for one in scored) for arm, scored in scores.items() if arm != statistics.GUESS
        },
        "trained_per_recall_point": round(table_tokens / gain) if table_tokens and gain > 0 else None,
    }


def _suite(suite: str, items: Sequence[Item], scores: statistics.Scores) -> dict[str, Any]:
    by_item = {one.item_id: one for arm in scores.values() for one in statistics.of_suite(arm, suite)}
    metrics = {metric_of(item) for item in items if item.id in by_item}
    return {
        "metric": ", ".join(sorted(metrics)),
        "items": len(by_item),
        "documents": len({one.document_id for one in by_item.values()}),
    }


def _json_lines(run: StepRun, artifact: Artifact, name: str) -> list[dict[str, Any]]:
    with run.store.open(artifact, name) as reader:
        return [json.loads(line) for line in reader]


def _named(
    items: Artifact, answers: Sequence[Artifact], adapter: Artifact | None, table: Artifact | None
) -> list[tuple[str, Artifact | None]]:
    arms = [(artifact.step.split("/")[1], artifact) for artifact in answers]
    return [("questions", items), *arms, ("adapter", adapter), ("training table", table)]


def revisions(items: Sequence[Item]) -> list[tuple[str, str]]:
    """Repository and commit of the files and pages that were asked about."""
    sources = {
        (item.document_id.partition("/file/")[0].partition("/wiki/")[0], item.provenance.revision)
        for item in items
        if "/file/" in item.document_id or "/wiki/" in item.document_id
    }
    return [("source", f"{repo} @ {revision}") for repo, revision in sorted(sources)]


def versions() -> list[tuple[str, str]]:
    """Versions of the environment that wrote the report; training may have run in another."""
    installed = [f"Python {platform.python_version()}"]
    for name in LIBRARIES:
        try:
            installed.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return [("versions", " · ".join(installed))]


def hashes(artifacts: Sequence[tuple[str, Artifact | None]]) -> list[tuple[str, str]]:
    """Step, version and content hash of each artifact that there is."""
    return [
        (name, f"{artifact.step} {artifact.version} · sha256 {artifact.sha256}")
        for name, artifact in artifacts
        if artifact
    ]


def parameters(recipe: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Section → (path, value) of every parameter, in declared order; single values are under `run`."""
    plain = [(name, _text(value)) for name, value in recipe.items() if not isinstance(value, dict)]
    sections = [(name, list(_leaves(value))) for name, value in recipe.items() if isinstance(value, dict)]
    return [*([("run", plain)] if plain else []), *sections]


def _leaves(section: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for name, value in section.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", _text(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
