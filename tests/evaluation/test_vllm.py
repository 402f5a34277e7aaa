"""What can be tested of the vLLM engine without vLLM; docs/evaluation.md says on what it was run by hand."""

import json
import os
from pathlib import Path

import pytest

from tasks.base.errors import InputError
from tasks.evaluation.answer import VLLM_VARIABLE, vllm_python


def _rank(folder: Path, rank: int) -> str:
    (folder / "adapter_config.json").write_text(json.dumps({"r": rank}))
    return str(folder)


def test_adapter_of_a_rank_that_vllm_does_not_serve_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from tasks.evaluation.vllm_job import served_rank

    assert [served_rank(_rank(tmp_path, rank)) for rank in (4, 8, 100, 512)] == [8, 8, 128, 512]
    with pytest.raises(InputError, match="up to rank 512, this one has 768"):
        served_rank(_rank(tmp_path, 768))
    (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 8, "modules_to_save": ["model.embed_tokens"]}))
    with pytest.raises(InputError, match="no adapter with a trained embedding"):
        served_rank(str(tmp_path))


def test_missing_vllm_names_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VLLM_VARIABLE, raising=False)
    with pytest.raises(InputError, match=r"evaluation\.engine: vllm is not installed here; .* RAWTUNE_VLLM_PYTHON"):
        vllm_python()
    monkeypatch.setenv(VLLM_VARIABLE, str(tmp_path / "none"))
    with pytest.raises(InputError, match="RAWTUNE_VLLM_PYTHON"):
        vllm_python()
    (tmp_path / "none").touch()
    assert vllm_python() == Path(os.environ[VLLM_VARIABLE])
