"""What needs no torch: order of rows, schedule, divergence, journal lines, checkpoints on disk, the table."""

import ast
import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from upath import UPath

from tasks.base.errors import BudgetError, InputError, TrainingError
from tasks.base.records import IGNORED
from tasks.training.checkpoints import Checkpoints, download, upload, whole
from tasks.training.journal import Journal, last_good, trouble
from tasks.training.params import Schedule, TrainingParams
from tasks.training.table import Table, optimizer_steps, row_order
from tasks.training.validation import GeneralLoss
from tests.training.conftest import write_table

KERNELS = Path(__file__).resolve().parents[2] / "tasks/training/backends/fast/kernels"


def test_kernels_return_at_their_end_alone() -> None:
    """Triton compiles what follows a return inside an `if` as well; Gemma's gates were lost by it on a GPU."""
    kernels = [
        function
        for path in KERNELS.glob("*.py")
        for function in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(function, ast.FunctionDef) and "triton.jit" in map(ast.unparse, function.decorator_list)
    ]

    assert len(kernels) > 10
    for kernel in kernels:
        assert [node for node in ast.walk(kernel) if isinstance(node, ast.Return)] in ([], [kernel.body[-1]]), (
            kernel.name
        )


@given(rows=st.integers(1, 60), epochs=st.integers(1, 4), seed=st.integers(0, 5))
def test_row_order_every_epoch_is_a_permutation_decided_by_the_seed(rows: int, epochs: int, seed: int) -> None:
    order = row_order(rows, epochs, seed)

    assert [sorted(order[start : start + rows]) for start in range(0, len(order), rows)] == [list(range(rows))] * epochs
    assert order == row_order(rows, epochs, seed)
    assert order[:rows] == row_order(rows, 1, seed)  # more epochs do not change the first


def test_optimizer_steps_last_batch_may_be_smaller() -> None:
    assert optimizer_steps(rows=5, epochs=2, batch_size=4) == 3


def test_factor_cosine_without_warmup_starts_at_the_peak_and_ends_near_zero() -> None:
    values = [Schedule.COSINE.factor(step, 100, 0.0) for step in range(100)]

    assert values[0] == 1.0
    assert values == sorted(values, reverse=True)
    assert 0 < values[-1] < 0.001


def test_factor_warmup_rises_over_its_share_of_the_steps() -> None:
    assert [Schedule.CONSTANT.factor(step, 10, 0.3) for step in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert Schedule.COSINE.factor(0, 1, 0.03) == 0.5  # a run of one step learns something


def looked(folder: Path, rises: list[float], bound: float | None) -> Journal:
    """A journal of a run of six steps that has taken as many looks as there are rises."""
    names, ids = ("general_loss:a", "samples:b"), [1, 2, 3]
    rows = [{"stream": name, "input_ids": ids, "labels": ids} for name in names]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    journal = Journal(("raw-file",), 6, TrainingParams(max_general_loss=bound), lambda event: None)
    journal.general = GeneralLoss(folder / "rows.jsonl", 6, 6)
    journal.begin(lambda row: 2 * 3.0)
    for rise in rises:
        journal.add([1.0], [1], 1)
        journal.close_step(1e-3, 1.0)
        assert journal.look_due(len(journal.lines))
        journal.look(lambda row, rise=rise: 2 * (3.0 + rise))
    return journal


@pytest.mark.parametrize(
    ("rises", "bound", "kept", "given_up"),
    [
        ([0.01, 0.04, 0.2, 0.03], 0.05, 4, False),  # it came back
        ([0.01, 0.04, 0.2, 0.3], 0.05, 2, False),
        ([0.01, 0.04, 0.6], 0.05, 2, True),
        ([0.6], 0.05, None, True),
        ([0.01, 9.0], None, 2, False),
        ([], 0.05, None, False),
    ],
)
def test_journal_keeps_the_last_look_within_the_bound(
    tmp_path: Path, rises: list[float], bound: float | None, kept: int | None, given_up: bool
) -> None:
    journal = looked(tmp_path, rises, bound)

    assert (journal.kept_step, journal.is_given_up) == (kept, given_up)
    assert [line["general"]["above_base"] for line in journal.lines] == pytest.approx(rises)
    assert [line["general"]["kl_to_base"] for line in journal.lines] == pytest.approx(rises)
    assert [line.get("base") for line in journal.lines] == [
        {"general_loss:a": 3.0, "samples:b": 3.0} if number == 0 else None for number in range(len(rises))
    ]
    assert journal.outcome().get("general_loss_above_base") == (kept and pytest.approx(rises[kept - 1]))


def test_journal_hands_out_the_checkpoint_of_the_kept_look(tmp_path: Path) -> None:
    journal, checkpoints = looked(tmp_path, [0.01, 0.2, 0.3, 0.3], 0.05), Checkpoints(tmp_path / "kept", 5, 6)
    for step in (1, 2, 3, 4):
        checkpoints.save(step, 1.0, lambda folder: (folder / "weights").write_bytes(b"w"), pinned=1)

    assert [folder.name for folder in whole(tmp_path / "kept")] == [f"step-{step:08d}" for step in (1, 3, 4)]
    assert journal.kept(checkpoints) == tmp_path / "kept" / "step-00000001"
    assert [line["step"] for line in journal.lines if line.get("kept")] == [1]
    shutil.rmtree(tmp_path / "kept" / "step-00000001")
    with pytest.raises(TrainingError, match=r"^the checkpoint of step 1 is gone or altered; remove .* and run again$"):
        journal.kept(checkpoints)
    with pytest.raises(TrainingError, match=r"^training\.max_general_loss: .* \+0\.600 nats above base at step 1"):
        looked(tmp_path, [0.6], 0.05).kept(checkpoints)


def test_trouble_tells_noise_from_divergence() -> None:
    assert trouble([2.0, 4.0, 1.0, 3.5, 2.2]) is None
    assert trouble([2.0] * 10 + [9.0] * 10) is not None
    assert trouble([2.0, float("nan")]) == (
        "the loss is not finite at step 2; lower training.learning_rate or look at the rows of that step"
    )


@pytest.mark.parametrize(
    ("losses", "step"),
    [
        ([2.0, 1.9, 1.8, float("nan")], 2),  # the update of step 3 was the bad one
        ([2.0, float("inf")], 0),
        ([2.0, 2.1, 1.9, 9.0, 12.0, 14.0], 2),
        ([2.0, 4.0, 1.0, 3.5, 2.2], 4),  # noise
    ],
)
def test_last_good_step_is_the_one_whose_weights_had_a_good_loss_after_it(losses: list[float], step: int) -> None:
    assert last_good(losses) == step


def test_journal_line_holds_losses_per_source_weighted_by_targets() -> None:
    events: list[dict] = []
    journal = Journal(("dialogue-page", "raw-file"), 2, TrainingParams(), events.append)
    journal.add([6.0, 10.0], [3, 5], 9)
    journal.add([0.0, 2.0], [0, 1], 4)

    line = journal.close_step(learning_rate=1e-3, grad_norm=0.5)

    assert line == {
        "step": 1,
        "loss": 2.0,
        "losses": {"dialogue-page": 2.0, "raw-file": 2.0},
        "targets_by_source": {"dialogue-page": 3, "raw-file": 6},
        "learning_rate": 1e-3,
        "grad_norm": 0.5,
        "targets": 9,
        "tokens": 13,
    }
    assert events[0]["kind"] == "step"
    assert events[0]["total"] == 2


def test_journal_gradient_not_finite_stops_the_run() -> None:
    journal = Journal(("raw-file",), 2, TrainingParams(), lambda event: None)
    journal.add([1.0], [1], 1)

    with pytest.raises(TrainingError, match="the gradient is not finite at step 1"):
        journal.close_step(1e-3, float("inf"))


def test_journal_budget_counts_earlier_attempts_and_money() -> None:
    params = TrainingParams(max_hours=None, max_usd=1.0, usd_per_hour=2.0)
    journal = Journal(("raw-file",), 3, params, lambda event: None)
    journal.resume([{"loss": 1.0, "tokens": 1, "step": 1}], seconds=3600.0)
    journal.add([1.0], [1], 1)

    with pytest.raises(
        BudgetError, match=r"training.max_usd: 2.00 used of 1 at step 2 of 3; raise the limit and run again"
    ):
        journal.close_step(1e-3, 1.0)


def fill(folder: Path) -> None:
    (folder / "deep").mkdir()
    (folder / "deep" / "state").write_bytes(b"12345")


def test_checkpoints_only_whole_ones_are_found_and_two_are_kept(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, minutes=5, steps=80)
    for step in (10, 20, 30):
        assert checkpoints.due(step)
        checkpoints.save(step, seconds=float(step), write=fill)
    assert not checkpoints.due(31)
    (tmp_path / "step-00000030" / "deep" / "state").write_bytes(b"123")  # torn
    (tmp_path / "partial-1").mkdir()

    found = Checkpoints(tmp_path, minutes=5, steps=80).latest()

    assert found is not None
    assert (found[0].name, found[1]["seconds"]) == ("step-00000020", 20.0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000020", "step-00000030"]


def test_checkpoint_that_was_altered_at_equal_size_is_left_for_the_one_before(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, minutes=5, steps=80)
    for step in (10, 20):
        checkpoints.save(step, seconds=float(step), write=fill)
    (tmp_path / "step-00000020" / "deep" / "state").write_bytes(b"12346")

    found = Checkpoints(tmp_path, minutes=5, steps=80).latest()

    assert found is not None
    assert found[0].name == "step-00000010"
    assert checkpoints.until(20) == found[0]


def test_checkpoint_until_a_step_is_the_newest_not_after_it(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, minutes=5, steps=8)
    for step in (2, 5):
        checkpoints.save(step, 1.0, fill)
    found = [checkpoints.until(step) for step in (1, 4, 5)]
    assert [folder and folder.name for folder in found] == [None, "step-00000002", "step-00000005"]


def test_process_that_does_not_write_finds_checkpoints_and_makes_none(tmp_path: Path) -> None:
    Checkpoints(tmp_path, minutes=5, steps=8).save(2, 1.0, fill)
    reader = Checkpoints(tmp_path, minutes=0, steps=1, writes=False)
    assert not reader.due(8)
    reader.save(3, 1.0, fill)
    assert [folder.name for folder in whole(tmp_path)] == ["step-00000002"]


def test_checkpoints_travel_through_an_object_store_to_a_new_machine(tmp_path: Path) -> None:
    remote = UPath("memory://checkpoints/run")
    first = Checkpoints(tmp_path / "a", minutes=5, steps=8)
    for step in (1, 2, 3):
        upload(first.save(step, 1.0, fill), remote)
    assert sorted(entry.name for entry in remote.iterdir()) == ["step-00000002", "step-00000003"]
    (remote / "step-00000004" / "deep").mkdir(parents=True)
    (remote / "step-00000004" / "deep" / "state").write_bytes(b"1")  # an upload that was cut off has no complete.json

    second = tmp_path / "b"
    second.mkdir()
    download(remote, second)

    assert [folder.name for folder in whole(second)] == ["step-00000003"]


def test_table_first_token_of_a_document_is_no_target_and_sources_follow_the_parts(tmp_path: Path) -> None:
    write_table(tmp_path, [[("raw-file", 4, 0), ("dialogue-page", 5, 3)], [("raw-pull", 3, 0)]])
    table = Table(tmp_path)

    row = table.side_by_side([0, 1])

    assert row.position_ids.tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 4, 0, 1, 2]
    assert [label != IGNORED for label in row.labels] == [
        False, True, True, True, False, False, False, True, True, False, True, True,
    ]  # fmt: skip
    assert [table.sources[index] for index in row.sources] == ["raw-file"] * 4 + ["dialogue-page"] * 5 + [
        "raw-pull"
    ] * 3
    assert table.targets() == 7
    assert table.lengths() == [9, 3]


def test_table_without_part_list_counts_packed_rows_as_mixed(tmp_path: Path) -> None:
    write_table(tmp_path, [[("raw-file", 4, 0), ("dialogue-page", 5, 3)]])
    (tmp_path / "rows.jsonl").unlink()
    table = Table(tmp_path)

    assert {table.sources[index] for index in table.row(0).sources} == {"mixed"}


def test_table_without_rows_is_an_input_error(tmp_path: Path) -> None:
    write_table(tmp_path, [])

    with pytest.raises(InputError, match="the training table has no rows"):
        Table(tmp_path)


def test_params_fp8_is_refused_where_no_backend_does_it() -> None:
    with pytest.raises(ValueError, match="precision fp8 needs backend fast or auto, not trl"):
        TrainingParams(backend="trl", precision="fp8")


@pytest.mark.parametrize(
    ("values", "message"),
    [({"backend": "fast"}, "shard_base needs backend trl or auto"), ({"precision": "nf4"}, "16 or 32 bits, not nf4")],
)
def test_params_base_is_split_only_where_it_can_be(values: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainingParams(shard_base=True, **values)


def test_params_identity_leaves_out_how_long_and_how_dear_a_run_may_be() -> None:
    assert (
        TrainingParams(max_hours=1, max_usd=None, usd_per_hour=4.0, devices=2, shard_base=True).identity()
        == TrainingParams().identity()
    )
    assert json.dumps(TrainingParams().identity())
