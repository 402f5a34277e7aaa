"""Which backend trains where; cards are those of the planner, named as drivers name them."""

import pytest

from tasks.base.errors import InputError
from tasks.training.params import Backend, Precision, TrainingParams
from tasks.training.plan.cards import CARDS, GIB, Card, card
from tasks.training.plan.planner import Chosen, choose
from tasks.training.plan.shape import Shape

MISTRAL = Shape(4096, 32, 32, 8, 128, 14336, 32000, False)
H100 = card("NVIDIA H100 80GB HBM3", int(78.6 * GIB), int(79.1 * GIB), [9, 0])
T4 = card("Tesla T4", int(14.6 * GIB), int(14.7 * GIB), [7, 5])


def choice(
    card: Card | None,
    refused: str | None = None,
    has_unsloth: bool = True,
    shape: Shape | None = MISTRAL,
    **recipe: object,
) -> Chosen:
    return choose(TrainingParams(rank=64, alpha=64, **recipe), shape, 8192, card, refused, has_unsloth)


def test_card_is_known_by_the_drivers_name_and_its_memory() -> None:
    a100 = card("NVIDIA A100-SXM4-40GB", int(39.0 * GIB), int(39.4 * GIB), [8, 0])

    assert (H100.bf16_flops, H100.fp8_flops, H100.free_bytes) == (989e12, 1979e12, int(78.6 * GIB))
    assert (a100.bandwidth, a100.fp8_flops) == (CARDS["a100-40"].bandwidth, None)
    assert card("NVIDIA Unheard Of", GIB, GIB, [12, 0]).fp8_flops is not None


def test_choose_own_loop_wherever_it_runs() -> None:
    assert choice(H100).backend is Backend.FAST
    assert choice(None) == Chosen(
        backend=Backend.FAST, precision=Precision.AUTO, because="the fastest that this model allows"
    )


@pytest.mark.parametrize(
    ("card", "has_unsloth", "backend"),
    [(H100, True, Backend.UNSLOTH), (H100, False, Backend.TRL), (None, True, Backend.TRL)],
)
def test_choose_without_the_own_loop_unsloth_on_a_gpu_that_has_it(
    card: Card | None, has_unsloth: bool, backend: Backend
) -> None:
    made = choice(card, "dropout", has_unsloth, dropout=0.1)

    assert made.backend is backend
    assert made.because.startswith("fast does not do dropout") or ": fast does not do dropout" in made.because


@pytest.mark.parametrize("asked", ["embedding_learning_rate", "kl_weight"])
@pytest.mark.parametrize("card", [H100, None])
def test_choose_trl_for_what_it_alone_does(card: Card | None, asked: str) -> None:
    made = choice(card, asked, **{asked: 1e-5})

    assert made.backend is Backend.TRL
    assert f"fast does not do {asked}" in made.because


def test_choose_t4_a_4_bit_base_where_16_bits_do_not_fit() -> None:
    assert (choice(T4).backend, choice(T4).precision) == (Backend.UNSLOTH, Precision.NF4)
    assert choice(T4, backend="trl", has_unsloth=False).precision is Precision.NF4


def test_choose_model_of_another_shape_is_not_planned() -> None:
    made = choice(H100, "model type gemma2", shape=None)

    assert made == Chosen(
        backend=Backend.UNSLOTH, precision=Precision.AUTO, because="fast does not do model type gemma2"
    )


def test_choose_what_cannot_be_done_is_one_clear_line() -> None:
    with pytest.raises(InputError, match=r"training.backend: fast does not do dropout; choose auto or trl"):
        choice(H100, "dropout", backend="fast")
    with pytest.raises(InputError, match=r"training.precision: a CPU does not multiply 8-bit floats"):
        choice(None, precision="fp8")


def test_choice_travels_to_the_next_child() -> None:
    made = choice(T4)

    assert Chosen.model_validate_json(made.model_dump_json()) == made
