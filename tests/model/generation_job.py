"""Child job of the tests of generation: tiny random models of every family, in one process."""

from pathlib import Path
from typing import Any

from tasks.model.child_main import Report

STOPS = (1, 5, 7)


def tiny(family: str) -> Any:
    """A random model of a family with weights large enough for its texts to differ."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    config = AutoConfig.for_model(
        family, hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, head_dim=16, vocab_size=97, max_position_embeddings=256, sliding_window=None,
        bos_token_id=0, eos_token_id=1, pad_token_id=0,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config).eval().float()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.mul_(8)
    return model


def run(request: dict[str, Any], report: Report) -> dict[str, Any]:
    import torch

    from tasks.model import decoding
    from tasks.model.generate import Generator, Manner, Prompt

    decoding.CHECK_EVERY = 4  # so that rows leave in so short texts
    torch.manual_seed(1)
    prompts = [Prompt(tuple(torch.randint(2, 97, (size,)).tolist()), 40) for size in (3, 7, 1, 9, 5)]
    prompts.append(Prompt((30, 31), 12, stops=(40, 41), name="apart"))
    made: dict[str, Any] = {"families": {}}

    def texts(model: Any, engine: Any, asked: list[Prompt] = prompts, **manner: Any) -> list[list[int]]:
        tokens = manner.pop("batch_tokens", None)
        generator = Generator(model, Manner(STOPS, 0, **manner), engine, tokens)
        return [[*one.ids, -1 if one.stop is None else one.stop] for one in generator.write(asked, lambda facts: None)]

    for family in decoding.FAMILIES:
        model = tiny(family)
        made["families"][family] = {
            "ours": texts(model, "auto"),
            "plain": texts(model, "plain"),
            "sampled": texts(model, "places", sampled=True, seed=3),
            "again, in small batches": texts(model, "places", sampled=True, seed=3, batch_tokens=60),
            "another seed": texts(model, "places", sampled=True, seed=4),
        }
    model = tiny("llama")
    made["refused"] = {
        "gemma2": decoding.refusal(tiny_config("gemma2")),
        "windows": decoding.refusal(tiny_config("mistral", sliding_window=32)),
    }
    many = [Prompt((3, 4), 1) for _ in range(4000)]
    drawn = Generator(model, Manner((), 0, sampled=True), "places").write(many, lambda facts: None)
    with torch.inference_mode():
        wanted = model(torch.tensor([[3, 4]])).logits[0, -1].softmax(-1)
    counted = torch.bincount(torch.tensor([one.ids[0] for one in drawn]), minlength=97) / len(drawn)
    made["distance"] = float((counted - wanted).abs().sum() / 2)
    made["likeliest"] = float(wanted.max())
    if request["continuous"]:
        made["continuous"] = {
            "greedy": texts(model, "continuous", prompts[:5]),
            "plain": texts(model, "plain", prompts[:5]),
            "sampled": [texts(model, "continuous", prompts[:5], sampled=True, seed=3) for _ in range(2)],
        }
    made["scores"] = scores(model, Path(request["folder"]))
    return made


def tiny_config(family: str, **changes: Any) -> Any:
    from transformers import AutoConfig

    return AutoConfig.for_model(family, **changes)


def scores(model: Any, folder: Path) -> dict[str, float]:
    """Our likeliest tokens against one plain computation a row."""
    import torch

    from tasks.model.scoring import NO_TOKEN, top_logprobs

    rows = [[3, 4, 5, 6], [9, 8], list(range(20, 40))]
    worst, same = 0.0, True
    for row, (ids, logprobs) in zip(rows, top_logprobs(model, rows, 0, 5, batch_tokens=30), strict=True):
        with torch.inference_mode():
            whole = model(torch.tensor([row])).logits[0].log_softmax(-1)
        best = whole[:-1].topk(5, -1)
        same &= bool((torch.from_numpy(ids[1:]) == best.indices).all()) and bool((ids[0] == NO_TOKEN).all())
        worst = max(worst, float((torch.from_numpy(logprobs[1:]) - best.values).abs().max()))
    return {"worst": worst, "same": same}
