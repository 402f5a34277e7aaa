"""Exports of an adapter: merged weights and GGUF files that say the same as the adapter."""

from pathlib import Path

import pytest

from tasks.base.artifacts import Artifact
from tasks.base.errors import ReleaseError
from tasks.base.records import Item, Provenance
from tasks.base.runs import StepRun, read_json
from tasks.base.steps import step
from tasks.base.store import Store
from tasks.model.base_model import base_model
from tasks.model.params import BaseModelParams
from tasks.release.export import gguf, merge, verify_export, wants_merged
from tasks.release.gate import gate
from tasks.release.params import ExportParams, GateParams, ReleaseParams
from tasks.release.publish import publish
from tests.release.conftest import FACTS, Adapter

BOTH = ExportParams(merged="always", gguf=("Q8_0", "Q4_K_M"), verify_items=4)


@step("tests/items", "1")
def _items(run: StepRun) -> None:
    run.write(
        Item(
            id=f"hello/file/{number}",
            suite="recall",
            question=f"What is in file {number}?",
            answers=("x",),
            document_id="hello/file",
            span=(1, 1),
            answerable=True,
            pair_id=None,
            provenance=Provenance(
                document_id="hello/file", revision="0" * 40, span=(1, 1), prompt_version="1", model="template"
            ),
        )
        for number in range(6)
    )


@pytest.mark.slow
def test_exports_of_an_adapter_say_the_same_and_are_released(
    store: Store, adapter: Adapter, tiny_model: Path, report: Artifact, table: Artifact
) -> None:
    model = base_model.direct(store, BaseModelParams(base_model=str(tiny_model)))
    merged = merge.direct(store, adapter(1), model)
    assert merged.counts["matrices"] == 4
    files = gguf.direct(store, merged, "hello", BOTH)
    agreement = verify_export.direct(store, adapter(1), model, _items.direct(store), merged, files, BOTH)
    found = read_json(store, agreement, "agreement.json")
    assert list(found) == ["merged", "hello-Q4_K_M.gguf", "hello-Q8_0.gguf"]
    assert found["merged"]["divergence"] < found["hello-Q4_K_M.gguf"]["divergence"]
    assert found["merged"]["agreement"] > 0.9
    decision = gate.direct(store, report, GateParams())
    release = publish.direct(
        store, adapter(1), model, report, decision, table, ReleaseParams(), FACTS, merged, files, agreement
    )
    folder = store.checkout(release)
    assert (folder / "merged" / "model.safetensors").is_file()
    assert "FROM ./hello-Q8_0.gguf" in (folder / "README.md").read_text()
    assert "vllm serve ./merged" in (folder / "README.md").read_text()


@pytest.mark.slow
def test_export_of_another_adapter_is_found_out(store: Store, adapter: Adapter, tiny_model: Path) -> None:
    model = base_model.direct(store, BaseModelParams(base_model=str(tiny_model)))
    merged = merge.direct(store, adapter(2), model)
    with pytest.raises(ReleaseError, match="merged diverges from the trained adapter"):
        verify_export.direct(store, adapter(1), model, _items.direct(store), merged, None, BOTH)


@pytest.mark.parametrize(
    ("params", "rank", "wanted"),
    [
        (ExportParams(), 512, False),
        (ExportParams(), 768, True),
        (ExportParams(merged="never"), 768, False),
        (ExportParams(gguf=("Q8_0",)), 16, True),
        (ExportParams(merged="always"), 16, True),
    ],
)
def test_merged_weights_are_made_where_vllm_needs_them(params: ExportParams, rank: int, wanted: bool) -> None:
    assert wants_merged(params, rank) is wanted
    assert wants_merged(params, rank, embeddings=True) is (params.merged != "never")
