"""The planner is pure calculation; measured figures are of tests/benchmarks/train_gpu.py on an H100, 2026-11-24."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.base.errors import InputError
from tasks.training.params import Precision, TrainingParams
from tasks.training.planner import CARDS, GIB, USABLE, Shape, fast_bytes, plan

MISTRAL = Shape(4096, 32, 32, 8, 128, 14336, 32000, False)


def recipe(rank: int, **others: object) -> TrainingParams:
    return TrainingParams(rank=rank, alpha=rank, **others)


@pytest.mark.parametrize(("rank", "measured_gib", "measured_rate"), [(64, 47.8, 21_142), (768, 74.1, 16_540)])
def test_plan_h100_predicts_peak_and_speed_within_a_tenth(rank: int, measured_gib: float, measured_rate: float) -> None:
    made = plan(MISTRAL, recipe(rank), 8192, CARDS["h100"])

    assert (made.backend, made.precision, made.recompute_layers) == ("fast", "fp8", 0)
    assert made.peak_bytes / GIB == pytest.approx(measured_gib, rel=0.1)
    assert made.tokens_per_second == pytest.approx(measured_rate, rel=0.1)


def test_plan_a100_40_has_no_fp8_and_recomputes_what_does_not_fit() -> None:
    made = plan(MISTRAL, recipe(64), 8192, CARDS["a100-40"])

    assert (made.backend, made.precision) == ("fast", "bfloat16")
    assert 0 < made.recompute_layers < 32
    fewer = fast_bytes(MISTRAL, 64, 8192, False, made.recompute_layers - 1)
    assert made.peak_bytes <= USABLE * CARDS["a100-40"].free_bytes < fewer


def test_plan_a100_40_at_the_articles_rank_goes_over_to_unsloth() -> None:
    made = plan(MISTRAL, recipe(768), 8192, CARDS["a100-40"])

    assert (made.backend, made.precision, made.recompute_layers) == ("unsloth", "bfloat16", 32)


def test_plan_t4_without_bfloat16_takes_a_4_bit_base() -> None:
    made = plan(MISTRAL, recipe(64), 8192, CARDS["t4"])

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
