"""Figures of a run in MLflow and Weights & Biases: their own libraries, both without any server."""

import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.cli.running import run_retrain
from flows.params import Phase
from flows.trackers import check_trackers, curve, figures, flat
from tasks.base.errors import InputError
from tests.flows.conftest import Finished

SUMMARY = {
    "arms": {"base": {"recall": {"estimate": 0.1}}, "tuned": {"recall": {"estimate": 0.6}}},
    "differences": {"recall": {"estimate": 0.5, "low": 0.2, "high": None}},
    "kinds": {"value": {"base": {"estimate": 0.0}, "tuned": {"estimate": 1.0}}, "error": {}},
    "losses": {"tuned": {"general_loss:code-c++": {"loss": 2.0}}},
}


def test_figures_have_names_that_a_file_store_can_keep() -> None:
    assert figures(SUMMARY) == {
        "recall/base": 0.1,
        "recall/tuned": 0.6,
        "recall/difference": 0.5,
        "recall/difference-low": 0.2,
        "kind/value/tuned": 1.0,
        "loss/general_loss/code-c--/tuned": 2.0,
    }


def test_curve_has_the_steps_and_nothing_else_of_the_log() -> None:
    step = {"step": 2, "loss": 1.5, "losses": {"raw-file": 1.5}, "learning_rate": 1e-3, "tokens": 9}
    told = {"training/learning_rate": 1e-3, "training/loss/all": 1.5, "training/loss/raw-file": 1.5}
    assert list(curve([step, {"step": 2, "look": {"general_loss": 2.0}}])) == [(2, told)]


def test_parameters_are_flat_and_lists_whole() -> None:
    assert dict(flat({"a": {"b": {"c": 1}}, "d": [{"e": 2}], "f": {}})) == {"a.b.c": 1, "d": [{"e": 2}], "f": {}}


def test_missing_library_is_told_before_anything_is_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "meta_path", [one for one in sys.meta_path if one.__class__.__module__ == "builtins"])
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    with pytest.raises(InputError, match=r"WANDB_MODE or WANDB_API_KEY: wandb is not installed; install rawtune\["):
        check_trackers()


@pytest.mark.slow
def test_run_that_is_all_cached_tells_both_trackers_and_they_keep_it(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", str(tmp_path / "mlruns"))
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    report = run_retrain(finished.params, Phase.PUBLISH)
    assert set(report.resolved["trackers"]) == {"mlflow", "wandb"}
    recall = report.scores["recall"]["tuned"]["estimate"]

    from mlflow import MlflowClient

    client = MlflowClient(str(tmp_path / "mlruns"))
    experiment, run = report.resolved["trackers"]["mlflow"].split("/")
    kept = client.get_run(run)
    assert experiment == "post"
    assert kept.info.run_name.startswith("post @ ")
    assert kept.info.status == "FINISHED"
    assert kept.data.tags["rawtune.decision"] == "allow"
    assert kept.data.params["training.rank"] == "8"
    assert str(finished.repository.parent) not in str(kept.data.params), "no path of this machine"
    assert kept.data.metrics["recall/tuned"] == pytest.approx(recall)
    losses = client.get_metric_history(run, "training/loss/all")
    assert [one.step for one in losses] == list(range(1, len(losses) + 1))
    assert len(losses) > 1

    from wandb.proto.wandb_internal_pb2 import Record

    (file,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    records = [Record.FromString(one) for one in _records(file.read_bytes())]
    (begun,) = [one.run for one in records if one.WhichOneof("record_type") == "run"]
    assert (begun.project, begun.display_name) == ("post", kept.info.run_name)
    assert not begun.git.commit
    steps = [one for one in records if one.WhichOneof("record_type") == "history"]
    assert len(steps) == len(losses)
    summary = {
        "/".join(update.nested_key) or update.key: update.value_json
        for one in records
        if one.WhichOneof("record_type") == "summary"
        for update in one.summary.update
    }
    assert float(summary["recall/tuned"]) == pytest.approx(recall)


@pytest.mark.slow
def test_tracker_that_is_not_there_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nowhere://host")
    with pytest.raises(InputError, match=r"MLFLOW_TRACKING_URI: .*; correct it, or unset it"):
        check_trackers()


def _records(data: bytes) -> Iterator[bytes]:
    """The records of a .wandb file: after a header of seven bytes blocks of LevelDB's log format."""
    place, held = 7, b""
    while place + 7 <= len(data):
        left = 32_768 - place % 32_768
        if left < 7:
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, place)
        held += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part of one
            yield held
            held = b""
