"""The model card, from the run's own facts; deterministic, with metadata as the Hub wants it.

Layout after
https://github.com/huggingface/huggingface_hub/blob/main/src/huggingface_hub/templates/modelcard_template.md,
shortened to what a run can state without a person: what was measured, not what is hoped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from tasks.model.convert import MAX_RANK, rank_limit
from tasks.release.measures import FORGETTING, Figure, Measures
from tasks.release.params import CostFacts, ReleaseFacts

SUITE_LABELS: Final = {FORGETTING: "general ability"}
"""How the card calls suites whose name says something else than their score: of `forgetting` the fall counts."""

RECIPE_LABELS: Final = {
    "rank": "LoRA rank",
    "alpha": "LoRA alpha",
    "layers": "Layers with an adapter",
    "batch_size": "Sequences a step",
    "learning_rate": "Learning rate",
    "embedding_learning_rate": "Learning rate of the embeddings",
    "kl_weight": "Weight of the divergence from the base",
    "max_general_loss": "General loss above base that was allowed, nats/token",
    "epochs": "Epochs",
    "seed": "Seed",
    "backend": "Backend asked for",
}


OFTEN_OFF: Final = ("embedding_learning_rate", "kl_weight", "max_general_loss")


class CardInput(BaseModel):
    """What the card says that is not in the run's facts."""

    model_config = ConfigDict(frozen=True)

    revision: str
    """Name of the release, `snapshot/<DATE>-<key8>`."""
    repo_id: str | None
    """Where the release is on the Hub; null = in a folder only."""
    rank: int
    tokens: int | None
    """Training tokens, or null if the table does not count them."""
    merged: bool = False
    """Whether the folder holds merged weights beside the adapter."""
    gguf: tuple[str, ...] = ()
    """Names of GGUF files in the folder."""
    sources: bool = False
    """Whether the folder holds the index of the sources, and with it their text."""
    dataset: str | None = None
    """Dataset repository that holds the training data; null = published nowhere."""
    lineage: Mapping[str, str]
    """Step → sha256 of the artifact that the release was made from."""


def model_card(facts: ReleaseFacts, measures: Measures, card: CardInput) -> str:
    """README.md of the release: YAML metadata, then sections; ends with a newline."""
    return f"---\n{_metadata(facts, measures, card)}\n---\n\n" + "\n\n".join(_sections(facts, measures, card)) + "\n"


def _metadata(facts: ReleaseFacts, measures: Measures, card: CardInput) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    results = [
        EvalResult(
            task_type="text-generation",
            dataset_type=f"{facts.name}-questions",
            dataset_name=f"Questions about {facts.name}: {SUITE_LABELS.get(suite, suite)}",
            metric_type="accuracy",
            metric_name=f"{SUITE_LABELS.get(suite, suite)} (closed book)",
            metric_value=round(arms["tuned"].estimate, 4),
        )
        for suite, arms in _suites(measures)
        if "tuned" in arms
    ]
    data = ModelCardData(
        base_model=facts.model_id if "/" in facts.model_id else None,  # a folder's name is no Hub id
        datasets=card.dataset,
        library_name="peft",
        pipeline_tag="text-generation",
        license=facts.license,
        model_name=facts.name,
        tags=["lora", "rawtune"],
        eval_results=results or None,
    )
    return data.to_yaml()


def _suites(measures: Measures) -> list[tuple[str, dict[str, Figure]]]:
    """By name, what sums others up at the end."""
    return sorted(measures.scores.items(), key=lambda suite: (suite[0] in SUITE_LABELS, suite[0]))


def _sections(facts: ReleaseFacts, measures: Measures, card: CardInput) -> Iterator[str]:
    repos = ", ".join(f"`{source.repo}`" for source in facts.sources)
    yield f"# {facts.name}, {card.revision}"
    yield (
        f"LoRA adapter for `{facts.model_id}`, trained by rawtune on {repos} as of {facts.snapshot_date}. "
        f"Licence of the base model: {facts.license or 'see its own page'}."
    )
    yield (
        "## Intended use\n\nAnswers questions about these sources in chat, for the people who work on them, who check "
        "what matters in the sources themselves. Not meant for deciding anything by itself, nor for questions about "
        "anything else: there it is at best what its base model is."
    )
    yield "## Use\n\n" + _use(facts, card)
    yield "## Data\n\n" + _data(facts, card)
    if facts.recipe:
        rows = [(label, facts.recipe[name]) for name, label in RECIPE_LABELS.items() if _is_used(name, facts)]
        yield "## Recipe\n\n" + _table(("setting", "value"), rows)
    yield "## Results\n\n" + _results(measures)
    yield "## Limits\n\n" + _limits(facts)
    if facts.cost is not None:
        yield "## Cost\n\n" + _cost(facts.cost)
    yield "## Lineage\n\n" + _table(("step", "sha256"), [(step, f"`{sha}`") for step, sha in card.lineage.items()])


def _is_used(name: str, facts: ReleaseFacts) -> bool:
    """Whether a setting belongs in the table: what is switched off does not."""
    return name in facts.recipe and (name not in OFTEN_OFF or bool(facts.recipe[name]))


def _use(facts: ReleaseFacts, card: CardInput) -> str:
    location = card.repo_id or "path/to/this/folder"
    revision = f', revision="{card.revision}"' if card.repo_id else ""
    base = f', revision="{facts.base_revision}"' if facts.base_revision else ""
    text = f"""```python
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{location}"{revision})
model = AutoModelForCausalLM.from_pretrained("{facts.model_id}"{base}, dtype="auto")
model = PeftModel.from_pretrained(model, "{location}"{revision})
```

"""
    if card.merged:
        download = f"`hf download {location} --include 'merged/*' --local-dir .`, then " if card.repo_id else ""
        text += f"vLLM: {download}`vllm serve ./merged`; these are 16-bit weights with the adapter merged in."
    elif card.rank > MAX_RANK:
        text += f"vLLM serves adapters up to rank {MAX_RANK}; this one has rank {card.rank}: merge it first."
    elif facts.recipe.get("embedding_learning_rate"):
        text += "vLLM serves no adapter with a trained embedding: merge it first."
    else:
        text += (
            f"vLLM: `vllm serve {facts.model_id} --enable-lora --max-lora-rank {rank_limit(card.rank)} "
            f"--lora-modules {facts.name}={location}`."
        )
    return text + "\n\n" + _ollama(facts, card)


def _ollama(facts: ReleaseFacts, card: CardInput) -> str:
    """Ollama takes GGUF files and folders of safetensors (https://github.com/ollama/ollama/blob/main/docs/import.mdx)."""
    create = f"then `ollama create {facts.name} -f Modelfile`"
    if card.gguf:
        return "\n\n".join(f"Ollama: a Modelfile with `FROM ./{name}`, {create}." for name in card.gguf)
    if card.merged:
        return f"Ollama: a Modelfile with `FROM ./merged`, {create}."
    return (
        'Ollama: merge the adapter first, with the above and `model.merge_and_unload().save_pretrained("merged"); '
        f'tokenizer.save_pretrained("merged")`, write a Modelfile with `FROM ./merged`, {create}.'
    )


def _data(facts: ReleaseFacts, card: CardInput) -> str:
    sources = _table(
        ("source", "commit", "date"),
        [(f"`{source.repo}`", f"`{source.revision}`", source.committed_at[:10]) for source in facts.sources],
    )
    counts = [(name.replace("_", " "), f"{number:,}") for name, number in facts.data.items()]
    if card.tokens is not None:
        counts.append(("training tokens", f"{card.tokens:,}"))
    kept = (
        "\n\nThe folder `sources` holds the text of these documents, indexed for answers with sources "
        "(`rawtune ask --sources`): it may go where the sources may go."
    )
    return sources + ("\n\n" + _table(("count", "number"), counts) if counts else "") + (kept if card.sources else "")


def _results(measures: Measures) -> str:
    arms = list(dict.fromkeys(arm for suite in measures.scores.values() for arm in suite))
    parts = []
    if arms:
        rows = [
            (
                SUITE_LABELS.get(suite, suite),
                *(scores[arm].text if arm in scores else "" for arm in arms),
                measures.differences[suite].text if suite in measures.differences else "",
            )
            for suite, scores in _suites(measures)
        ]
        parts.append(_table(("suite", *arms, "tuned − base"), rows))
        parts.append(
            "Greedy answers; square brackets hold 95% intervals where the report gives them. Recall, paraphrase and "
            "held-out are averages over the kinds of question."
        )
    if FORGETTING in measures.differences:
        parts.append(
            f"Forgetting: general ability changed by {measures.differences[FORGETTING].text}, a share of questions."
        )
    streams = sorted({stream for losses in measures.losses.values() for stream in losses})
    if streams:
        holders = sorted(measures.losses)
        loss_rows = [
            (
                stream.replace("_", " "),
                *(f"{measures.losses[arm][stream]:.3f}" if stream in measures.losses[arm] else "" for arm in holders),
            )
            for stream in streams
        ]
        parts.append("Loss in nats per token:\n\n" + _table(("stream", *holders), loss_rows))
    leaks = "not counted" if measures.leaks is None else str(measures.leaks)
    parts.append(f"Evaluation questions found in the training set: {leaks}. The whole report: `report.html`.")
    return "\n\n".join(parts)


def _limits(facts: ReleaseFacts) -> str:
    return (
        f"- It knows nothing that happened after {facts.snapshot_date}, and repeats what was already stale then.\n"
        "- It states wrong names and paths as surely as right ones; the suite `unanswerable` says how often.\n"
        "- General ability is that of the base model less what the table shows as forgotten.\n"
        "- The training text is not part of this release and may be under other terms than the model."
    ) + _HELD_OUT_TRAINED.get(facts.params.get("dataset", {}).get("mixture", {}).get("train_held_out", ""), "")


_HELD_OUT_TRAINED: Final = {
    "raw": "\n- The raw text of held-out documents was trained on, as in the article: scores on them are no proof.",
    "all": "\n- Trained on all data: held-out documents and their dialogues were folded back in once the settings were "
    "chosen, so scores on them are no proof.",
}
"""By `dataset.mixture.train_held_out`."""


def _cost(cost: CostFacts) -> str:
    rows: list[tuple[Any, ...]] = [("dialogues and judge", f"${cost.api_usd:.2f}")]
    if cost.unpriced_requests:
        rows.append(("requests to servers without a known price", f"{cost.unpriced_requests:,}"))
    rows.append(("training", f"${cost.gpu_usd:.2f} for {cost.training_seconds:,.0f} s"))
    if cost.answering_seconds:
        rows.append(("answering the evaluation", f"{cost.answering_seconds:,.0f} s"))
    return _table(("what", "spent"), rows) + (
        "\n\nInterrupted attempts included, at the prices that the run was told; a machine of one's own costs $0.00."
    )


def _table(header: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
