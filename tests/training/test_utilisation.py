"""MFU by calculation, and the files for TensorBoard."""

from pathlib import Path

import pytest

from tasks.training.journal import Journal, tag, with_event_files
from tasks.training.params import TrainingParams
from tasks.training.plan.shape import Shape, flops_per_token, peak_flops, table_facts
from tasks.training.table import Table
from tests.training.conftest import write_table

MISTRAL = Shape(4096, 32, 32, 8, 128, 14336, 32000, False)


@pytest.mark.parametrize(
    ("device", "tflops"),
    [
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA H100 NVL", 835),
        ("NVIDIA H200", 989),
        ("NVIDIA A100-SXM4-40GB", 312),
        ("NVIDIA L4", 121),
        ("NVIDIA L40S", 362),
        ("Tesla T4", 65),
        ("cpu", None),
        ("NVIDIA GeForce GTX 1080", None),
    ],
)
def test_peak_is_known_by_the_drivers_name_or_not_at_all(device: str, tflops: float | None):
    assert peak_flops(device) == (tflops * 1e12 if tflops else None)


def test_flops_of_mistral_at_rank_768_are_those_counted_by_hand():
    # gpu.md: base 14.5 forward and 14.5 backward, adapters 12.1, causal attention at 8,192 about 7.5 with its recompute
    by_hand = 14.5e9 + 14.5e9 + 12.1e9 + 7.5e9 * 12 / 14
    assert flops_per_token(MISTRAL, 768, 8192, 1.0) == pytest.approx(by_hand, rel=0.02)
    assert flops_per_token(MISTRAL, 64, 8192, 1.0) < flops_per_token(MISTRAL, 768, 8192, 1.0)
    assert flops_per_token(MISTRAL, 64, 1024, 0.5) < flops_per_token(MISTRAL, 64, 1024, 1.0)


def test_table_facts_are_the_length_that_a_token_sees_and_the_share_of_targets(tmp_path: Path):
    write_table(tmp_path, [[("raw-file", 30, 0), ("dialogue-page", 10, 4)]])
    document_tokens, target_share = table_facts(Table(tmp_path))
    assert document_tokens == pytest.approx((30 * 30 + 10 * 10) / 40)
    assert target_share == pytest.approx((29 + 6) / 40)


@pytest.mark.parametrize(("peak", "told"), [(1e12, float), (None, "none")])
def test_step_event_tells_everything_that_a_person_watches(peak: float | None, told: object):
    events: list[dict] = []
    params = TrainingParams(usd_per_hour=3600.0)
    journal = Journal(("dialogue-page", "raw-file"), 3, params, events.append, 1e6, peak)
    for _ in range(2):
        journal.add([6.0, 10.0], [3, 5], 9)
        journal.close_step(1e-3, 0.5)
    facts = events[-1]["facts"]
    losses, rates = {"loss", "loss dialogue-page", "loss raw-file"}, {"tokens_per_second", "tflops", "mfu"}
    assert set(facts) == losses | rates | {"learning_rate", "grad_norm", "eta", "usd"}
    if peak:
        assert facts["mfu"] == pytest.approx(facts["tokens_per_second"] * 1e6 / 1e12, abs=1e-3)
    else:
        assert facts["mfu"] == told


def test_event_files_hold_every_number_under_its_tag(tmp_path: Path):
    from tensorboardX.proto.event_pb2 import Event

    told: list[dict] = []
    report = with_event_files(told.append, tmp_path)
    for step in (1, 2):
        facts = {"loss": 2.0 / step, "loss raw-file": 3.0, "mfu": "none", "usd": 0.5}
        report({"kind": "step", "done": step, "total": 2, "facts": facts})
    report({"kind": "checkpoint", "path": "somewhere"})
    assert [event["kind"] for event in told] == ["step", "step", "checkpoint"]
    (file,) = tmp_path.iterdir()
    found: dict[str, list[tuple[int, float]]] = {}
    data = file.read_bytes()
    while data:  # records of TFRecord: length, its checksum, content, its checksum
        length = int.from_bytes(data[:8], "little")
        event = Event.FromString(data[12 : 12 + length])
        for value in event.summary.value:
            found.setdefault(value.tag, []).append((event.step, value.simple_value))
        data = data[12 + length + 4 :]
    assert found == {
        "loss/all": [(1, 2.0), (2, 1.0)],
        "loss/raw-file": [(1, 3.0), (2, 3.0)],
        "training/usd": [(1, 0.5), (2, 0.5)],
    }


def test_no_folder_means_no_files_and_tags_group_the_losses():
    def report(event: dict) -> None:
        return None

    assert with_event_files(report, None) is report
    assert [tag(name) for name in ("loss", "loss raw-pull", "eta")] == ["loss/all", "loss/raw-pull", "training/eta"]
