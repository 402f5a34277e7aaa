"""Exports of an adapter: merged weights and GGUF files that say the same as the adapter."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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

BOTH = ExportParams(merged="always", gguf=("Q8_0", "Q4_0"), verify_items=4)


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
    assert list(found) == ["merged", "hello-Q4_0.gguf", "hello-Q8_0.gguf"]
    assert found["merged"]["divergence"] < found["hello-Q4_0.gguf"]["divergence"]
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


def test_vocabulary_of_the_stub_tokenizer_is_complete(tokenizer_folder: Path) -> None:
    from gguf import TokenType

    from tasks.release.gguf_job import has_byte_tokens, pretokenizer, vocabulary

    document = json.loads((tokenizer_folder / "tokenizer.json").read_text())
    tokens, types = vocabulary(document, 49152 + 8)
    assert tokens[2] == "<|im_end|>"
    assert types[2] == TokenType.CONTROL
    assert types[-8:] == [TokenType.UNUSED] * 8
    assert len(set(tokens)) == len(tokens)
    assert pretokenizer(document) == "gpt-2"
    assert not has_byte_tokens(document)
    assert set(types[17:49152]) == {TokenType.NORMAL}


@given(heads=st.integers(1, 4), half=st.integers(1, 4), inputs=st.integers(1, 3))
def test_permuted_rows_are_a_permutation_that_interleaves_halves(heads: int, half: int, inputs: int) -> None:
    from tasks.release.gguf_job import permuted

    size = 2 * half
    weight = np.arange(heads * size * inputs).reshape(heads * size, inputs)
    made = permuted(weight, heads)
    for head in range(heads):
        for position in range(half):
            row = head * size + position
            assert made[head * size + 2 * position].tolist() == weight[row].tolist()
            assert made[head * size + 2 * position + 1].tolist() == weight[row + half].tolist()
