"""The base model's own text at temperature 1, trained on so that nothing is forgotten.

Samples are an unbiased estimate of the divergence from the base on what the base itself would say, which neither greedy
answers nor foreign prose are: measured with 0.9 M raw and 4 M dialogue tokens, 11% of samples, each shown once, took
the loss on general text from +0.87 to +0.02 nats at nearly the same recall, while real prose made it worse (+1.72);
arXiv 2605.26097 and 2505.13811 found the same. Shown three times a sample begins to be learnt by heart.

How samples begin is in `openings.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from tasks.base.artifacts import Artifact
from tasks.base.records import Split
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.mixture.params import SamplingParams
from tasks.mixture.replay.job import SoftenRequest
from tasks.mixture.replay.openings import opening
from tasks.mixture.replay.texts import Sample, draw_texts
from tasks.mixture.table.rows import SOFT_IDS, SOFT_LOGPROBS
from tasks.model.child import run_child, staying
from tasks.model.request import WritingRequest
from tasks.text.chat import stop_ids
from tasks.text.tokenizer import stored_tokenizer

VERSION = "2026.11.30.2"

WRITING_JOB: Final = "tasks.model.generate:write"
SOFTEN_JOB: Final = "tasks.mixture.replay.job:soften"


def _lines(path: Path, values: Iterable[Any]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as writer:
        writer.writelines(json.dumps(value) + "\n" for value in values)
    return str(path)


@step("mixture/replay", VERSION)
def replay(run: StepRun, model: Artifact, params: SamplingParams, tokens: int) -> None:
    """Writes samples of the base model; verdicts name those left out (`empty`, `unfinished-question`).

    Args:
        run: this execution.
        model: the base.
        params: streams and limits.
        tokens: drawn tokens of all streams together, as `table/expected.py` rounds them up.

    Raises:
        InputError: the template cannot be sampled from, or the samples are empty.
    """
    import pyarrow.parquet as pq

    folder = run.checkout(model)
    tokenizer = stored_tokenizer(folder)
    work = run.cache("replay", run.key)
    total = sum(params.streams.values())

    def draw(prompts: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if not prompts:
            return []
        request = WritingRequest(
            model=folder,
            prompts=Path(_lines(work / "prompts.jsonl", prompts)),
            target=work / "samples.parquet",
            finished=work / "finished.jsonl",
            stop_ids=stop_ids(tokenizer),
            pad_id=tokenizer.end_of_document,
            sampled=True,
            seed=params.seed,
        )
        wrote = run_child(WRITING_JOB, request, lambda facts: run.progress(facts["done"], facts["total"], "samples"))
        run.resolved.update(device=wrote["device"], dtype=wrote["dtype"], engine=wrote["engine"])
        run.ledger("replay", samples=len(prompts), seconds=wrote["seconds"], device=wrote["device"])
        drawn: list[dict[str, Any]] = pq.read_table(request.target, columns=["ids", "stop"]).to_pylist()
        return drawn

    for stream in params.streams:
        opening(tokenizer, stream, 0)  # a template that cannot be sampled from is told before anything is drawn
    kept: list[Sample] = []
    with staying():
        for stream, part in sorted(params.streams.items()):
            for sample in draw_texts(tokenizer, stream, int(tokens * part / total), params, draw):
                if isinstance(sample, Sample):
                    kept.append(sample)
                    count = "tokens" if sample.split is Split.TRAIN else "held_tokens"
                    run.count(f"{count}:{stream}", len(sample.ids) - sample.given_tokens)
                else:
                    run.verdict(*sample)
        run.write(kept)
        if params.soft_targets:
            request = SoftenRequest(
                model=folder,
                rows=Path(_lines(work / "rows.jsonl", (sample.ids for sample in kept))),
                pad_id=tokenizer.end_of_document,
                most=params.soft_targets,
                ids=run.path(SOFT_IDS),
                logprobs=run.path(SOFT_LOGPROBS),
            )
            run_child(SOFTEN_JOB, request, lambda facts: run.progress(facts["done"], facts["total"], "samples"))
