import json
from collections.abc import Callable
from pathlib import Path

from tasks.base.progress import Event, listening
from tasks.base.store import Artifact, Store
from tasks.training.params import TrainingParams
from tasks.training.train import train

QUICK = TrainingParams(backend="trl", rank=4, alpha=8, learning_rate=1e-3, epochs=2, batch_size=2, precision="float32")


def lines_of(store: Store, adapter: Artifact) -> list[dict]:
    return [json.loads(line) for line in store.open(adapter, "loss.jsonl").read().decode().splitlines()]


def test_train_trl_backend_sees_exactly_the_planned_targets(
    store: Store, tiny_model_artifact: Artifact, table_artifact: Callable[..., Artifact]
) -> None:
    events: list[Event] = []
    with listening(events.append):
        adapter = train.direct(store, table=table_artifact(), model=tiny_model_artifact, params=QUICK)

    lines = lines_of(store, adapter)
    # first token of each part and masked prompts are no targets
    targets = 2 * (39 + 19 + 7 + 18 + 24 + 6 + 7 + 7 + 9)
    assert adapter.counts == {"steps": 5, "targets": targets, "tokens": 2 * (40 + 36 + 30 + 32 + 34)}
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5]
    assert sum(line["targets"] for line in lines) == targets
    assert set().union(*(line["losses"] for line in lines)) == {"raw-file", "raw-pull", "raw-wiki", "dialogue-page"}
    assert lines[-1]["loss"] < lines[0]["loss"]
    config = json.loads(store.open(adapter, "adapter_config.json").read())
    assert config["base_model_name_or_path"] == "stub"
    assert config["r"] == 4
    assert not [
        name
        for name in Path(adapter.uri).iterdir()
        if name.name not in ("adapter_model.safetensors", "adapter_config.json", "loss.jsonl")
    ]
    steps = [event for event in events if event.kind == "progress"]
    assert steps[-1].done == 5
    assert {"loss", "learning_rate", "grad_norm", "tokens_per_second", "eta"} <= steps[-1].facts.keys()
