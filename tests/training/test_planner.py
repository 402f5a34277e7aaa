"""The planner is pure calculation; measured figures are of tests/benchmarks/train_gpu.py on an H100, 2026-11-24."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.base.errors import InputError
from tasks.training.params import Layers, Precision, TrainingParams
from tasks.training.plan.cards import CARDS, GIB
from tasks.training.plan.forecast import forecast, refuse_hopeless
from tasks.training.plan.planner import USABLE, fast_bytes, peft_bytes, plan
from tasks.training.plan.shape import Shape

MISTRAL = Shape(4096, 32, 32, 8, 128, 14336, 32000, False)
SMOLLM2 = Shape(576, 30, 9, 3, 64, 1536, 49152, True)
QWEN3 = Shape(4096, 36, 32, 8, 128, 12288, 151936, False, head_norms=True)


def recipe(rank: int, **others: object) -> TrainingParams:
    return TrainingParams(rank=rank, alpha=rank, **others)


@pytest.mark.parametrize(("rank", "measured_gib", "measured_rate"), [(64, 47.8, 21_142), (768, 74.1, 16_540)])
def test_plan_h100_predicts_peak_and_speed_within_a_tenth(rank: int, measured_gib: float, measured_rate: float) -> None:
    made = plan(MISTRAL, recipe(rank), 8192, CARDS["h100"])

    assert (made.backend, made.precision, made.recompute_layers) == ("fast", "fp8", 0)
    assert made.peak_bytes / GIB == pytest.approx(measured_gib, rel=0.1)
    assert made.tokens_per_second == pytest.approx(measured_rate, rel=0.1)


def test_adapter_on_the_mlp_alone_is_counted_as_such_and_never_beside_8_bits() -> None:
    made = plan(MISTRAL, recipe(64, layers=Layers.MLP), 8192, CARDS["h100"])

    assert (made.backend, made.precision) == ("fast", "bfloat16")
    shape = dataclasses.replace(MISTRAL, mlp_only=True)
    assert shape.adapter(64) == 32 * 64 * (3 * 4096 + 3 * 14336)
    assert made.peak_bytes == fast_bytes(shape, 64, made.micro_batch_tokens, False, made.recompute_layers)


def test_plan_a100_40_has_no_fp8_and_recomputes_what_does_not_fit() -> None:
    made = plan(MISTRAL, recipe(64), 8192, CARDS["a100-40"])

    assert (made.backend, made.precision) == ("fast", "bfloat16")
    assert 0 < made.recompute_layers < 32
    fewer = fast_bytes(MISTRAL, 64, 8192, False, made.recompute_layers - 1)
    assert made.peak_bytes <= USABLE * CARDS["a100-40"].free_bytes < fewer


@pytest.mark.parametrize(
    ("rank", "precision", "offloads", "measured_gib"),
    [
        (768, "bfloat16", True, 33.7),
        (64, "bfloat16", True, 16.5),
        (768, "nf4", True, 24.3),
        (768, "bfloat16", False, 35.0),
    ],
)
def test_peft_bytes_are_within_a_twentieth_of_what_unsloth_and_trl_took(
    rank: int, precision: str, offloads: bool, measured_gib: float
) -> None:
    assert peft_bytes(MISTRAL, rank, 8192, precision, offloads) / GIB == pytest.approx(measured_gib, rel=0.05)


def test_plan_a100_40_at_the_articles_rank_goes_over_to_unsloth() -> None:
    made = plan(MISTRAL, recipe(768), 8192, CARDS["a100-40"])

    # own loop, all recomputed: 14.5 GB of weights and 2.01 billion adapter parameters at 14 bytes are 39.7 GiB already
    assert 2 * (MISTRAL.frozen + MISTRAL.vocabulary_parameters) + 14 * MISTRAL.adapter(768) > 38.9 * GIB
    # Unsloth: the same weights, the adapter at 10 bytes, and 1.2 GiB to work in
    assert (made.backend, made.precision, made.recompute_layers) == ("unsloth", "bfloat16", 32)
    assert made.peak_bytes / GIB == pytest.approx(13.5 + 18.75 + 1.2, abs=0.1)


def test_plan_t4_without_bfloat16_takes_a_4_bit_base() -> None:
    made = plan(MISTRAL, recipe(64), 8192, CARDS["t4"])

    # 7.24 billion weights at 16 bits are 13.5 of the T4's 14.6 GiB; 4 bits and block scales leave 3.6, and 0.5 for
    # embedding and output layer; 168 million adapter parameters at 10 bytes are 1.6, a layer's activations 0.9,
    # logits 0.2
    assert (made.backend, made.precision) == ("unsloth", "nf4")
    assert made.peak_bytes / GIB == pytest.approx(3.57 + 0.49 + 1.56 + 0.86 + 0.24, abs=0.02)


def test_plan_t4_keeps_a_small_model_in_float16() -> None:
    smollm2 = Shape(576, 30, 9, 3, 64, 1536, 49152, True)

    made = plan(smollm2, recipe(64), 2048, CARDS["t4"], peft="trl")

    assert (made.backend, made.precision) == ("trl", "float16")
    assert plan(smollm2, recipe(64), 2048, CARDS["h100"]).precision == "bfloat16"  # too narrow to gain by 8 bits


def test_plan_trained_embeddings_take_trl_and_their_memory_is_counted() -> None:
    frozen = plan(MISTRAL, recipe(64, backend="trl"), 8192, CARDS["h100"])
    trained = plan(MISTRAL, recipe(64, embedding_learning_rate=2e-5), 8192, CARDS["h100"])

    # 2 x 131 million weights: 32-bit weight, gradient and two moments; and a chunk's gradient of the output layer
    assert trained.peak_bytes - frozen.peak_bytes == 16 * 262_144_000 + 4 * 131_072_000
    assert trained.because.startswith("fast does not do embedding_learning_rate; trl")
    assert trained.tokens_per_second < frozen.tokens_per_second


def test_plan_divergence_from_the_base_costs_a_forward_pass() -> None:
    free, near, replay = (
        plan(MISTRAL, recipe(64, backend="trl", kl_weight=weight, kl_rows=rows), 8192, CARDS["h100"])
        for weight, rows in ((0.0, "all"), (0.1, "all"), (0.1, "replay"))
    )

    # with all layers recomputed, forward twice and backward once become forward three times and backward once
    assert near.tokens_per_second / free.tokens_per_second == pytest.approx(3 / 4, abs=0.06)
    assert replay.tokens_per_second == free.tokens_per_second


@pytest.mark.parametrize(
    ("card", "precision", "line"),
    [
        ("t4", "bfloat16", "T4 has no bfloat16; choose auto, float32 or nf4"),
        ("a100-40", "fp8", "A100 40 GB does not multiply 8-bit floats; choose auto or bfloat16"),
    ],
)
def test_plan_precision_that_the_card_lacks_is_refused(card: str, precision: str, line: str) -> None:
    with pytest.raises(InputError, match=line):
        plan(MISTRAL, recipe(64, precision=precision), 8192, CARDS[card])


def test_plan_asked_for_4_bits_on_a_large_card_keeps_them() -> None:
    made = plan(MISTRAL, recipe(64, precision="nf4"), 8192, CARDS["h100"])

    assert (made.backend, made.precision) == ("unsloth", "nf4")


def test_plan_nothing_fits_names_the_rank_that_would() -> None:
    with pytest.raises(
        InputError, match=r"rank 768 with rows of 8192 tokens does not fit T4; training.rank 256 would fit"
    ):
        plan(MISTRAL, recipe(768), 8192, CARDS["t4"])


def test_plan_batch_is_split_into_micro_batches_of_the_row_length() -> None:
    assert plan(MISTRAL, recipe(64, batch_size=8), 8192, CARDS["h100"]).accumulation == 8
    assert plan(MISTRAL, recipe(64, batch_size=16), 1024, CARDS["h100"]).accumulation == 2


def test_plan_asked_for_bfloat16_keeps_it_on_a_card_with_fp8() -> None:
    assert plan(MISTRAL, recipe(64, precision=Precision.BFLOAT16), 8192, CARDS["h100"]).precision == "bfloat16"


@given(rank=st.sampled_from([16, 64, 256, 768]), tokens=st.sampled_from([1024, 4096, 8192]), gib=st.integers(20, 140))
def test_plan_never_exceeds_the_card(rank: int, tokens: int, gib: int) -> None:
    card = dataclasses.replace(CARDS["h100"], free_bytes=gib * GIB)
    try:
        made = plan(MISTRAL, recipe(rank), tokens, card)
    except InputError:
        return

    assert made.peak_bytes <= USABLE * card.free_bytes
    assert made.tokens_per_second > 0


def test_a_cpu_is_refused_what_it_could_not_finish_and_told_what_would_fit() -> None:
    long = forecast(MISTRAL, recipe(768, batch_size=16), 2_000_000, 250, 8192, None, None)
    assert long.hours > 100
    assert long.refusal is not None
    assert "h100 0." in long.refusal
    assert "a model of up to" in long.refusal
    assert "t4" not in long.refusal
    with pytest.raises(InputError, match=r"^training.max_hours: about \d+ hours without a GPU, 4 allowed; what would"):
        refuse_hopeless(long)

    refuse_hopeless(forecast(MISTRAL, recipe(64), 2_000_000, 250, 8192, CARDS["h100"], 4.0))
    refuse_hopeless(forecast(MISTRAL, recipe(64, max_hours=None), 2_000_000, 250, 8192, None, None))
    refuse_hopeless(forecast(SMOLLM2, recipe(64), 200_000, 250, 512, None, None))


def test_plan_counts_what_norms_of_heads_and_behind_a_sublayer_keep() -> None:
    plain = dataclasses.replace(QWEN3, head_norms=False)
    gemma = dataclasses.replace(QWEN3, after_norms=True)
    plain_bytes, heads, after = (fast_bytes(shape, 64, 8192, False, 0) for shape in (plain, QWEN3, gemma))

    assert heads - plain_bytes == 36 * 8192 * (2 * (4096 + 1024) + 4 * (32 + 8))  # bf16 before the norms, their scales
    assert after - heads == 36 * 8192 * 2 * (2 * 4096 + 4)


@pytest.mark.parametrize("gib", [24, 40, 48, 80])
@pytest.mark.parametrize("shape", [MISTRAL, QWEN3], ids=["mistral", "qwen3"])
@pytest.mark.parametrize("precision", ["auto", "bfloat16", "nf4"])
def test_plan_fits_the_cards_that_people_have_and_wastes_nothing(gib: int, shape: Shape, precision: str) -> None:
    card = dataclasses.replace(CARDS["h100"], free_bytes=gib * GIB)
    made = plan(shape, recipe(64, precision=precision), 8192, card, peft="trl")

    assert made.peak_bytes <= USABLE * card.free_bytes
    assert (made.backend, made.precision == "nf4") == (("trl", True) if precision == "nf4" else ("fast", False))
    if made.backend == "fast" and made.recompute_layers:
        less = fast_bytes(shape, 64, made.micro_batch_tokens, made.precision == "fp8", made.recompute_layers - 1)
        assert less > USABLE * card.free_bytes
