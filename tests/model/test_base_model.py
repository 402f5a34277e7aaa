"""A base model that cannot be used is one clear line that names the parameter, the file and the remedy."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.base.errors import InputError
from tasks.base.store import Store
from tasks.model.base_model import base_model, copy_folder, is_whole
from tasks.model.params import BaseModelParams


def cut_weights(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def with_code(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModel": "evil.Model"}}), "utf-8")


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "no configuration": (lambda folder: (folder / "config.json").unlink(), "has no config.json"),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), "has no tokenizer.json"),
    "no template": (lambda folder: (folder / "chat_template.jinja").unlink(), "has no chat template"),
    "pickled weights": (pickled, "pickled weights are not opened"),
    "weights cut short": (cut_weights, "model.safetensors is cut short or no safetensors; fetch it again"),
    "no weights in it": (lambda folder: (folder / "model.safetensors").write_bytes(b"<html>"), "is cut short"),
    "code of its own": (with_code, "wants to run code of its own"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_model_folder_is_one_line_with_its_remedy(case: str, tiny_model: Path, store: Store, tmp_path: Path):
    spoil, message = BAD[case]
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    spoil(folder)
    with pytest.raises(InputError, match=r"^base_model: ") as failure:
        base_model.direct(store, params=BaseModelParams(base_model=str(folder)))
    assert message in str(failure.value)
    assert "\n" not in str(failure.value)
    assert store.steps() == []


def test_good_model_folder_is_taken_whole(tiny_model: Path, tmp_path: Path):
    assert all(is_whole(weights) for weights in tiny_model.glob("*.safetensors"))
    copy_folder(tiny_model, tmp_path, "tiny")
    assert (tmp_path / "model.safetensors").read_bytes() == (tiny_model / "model.safetensors").read_bytes()
