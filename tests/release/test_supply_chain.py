"""Nothing that a stranger packs into a model or a release is executed."""

from __future__ import annotations

import ast
import os
import pickle
from pathlib import Path

import pytest

from tasks.base.errors import InputError, ReleaseError
from tasks.base.store import Store
from tasks.model.base_model import base_model
from tasks.model.params import BaseModelParams
from tasks.release.folder import check_publishable

ROOT = Path(__file__).resolve().parents[2]
CODE = [path for name in ("tasks", "flows", "deployments") for path in sorted((ROOT / name).rglob("*.py"))]


class Owned:
    """What runs a command when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


def calls(tree: ast.AST) -> list[ast.Call]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def test_no_code_asks_for_remote_code_or_unpickles() -> None:
    """Imports and calls of every module: a new one is covered."""
    for path in CODE:
        tree = ast.parse(path.read_text("utf-8"))
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            module = node.module if isinstance(node, ast.ImportFrom) else None
            assert not {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"} & {*names, module}, (
                path
            )
        for call in calls(tree):
            keywords = {keyword.arg: keyword.value for keyword in call.keywords}
            assert "trust_remote_code" not in keywords, path
            assert "allow_pickle" not in keywords, path
            if ast.unparse(call.func) in ("torch.load", "load"):
                only = keywords.get("weights_only")
                is_torch = ast.unparse(call.func) == "torch.load"
                assert not is_torch or (isinstance(only, ast.Constant) and only.value is True), path


@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "model.pt", "model.pkl", "training_args.bin", "tokenizer.pickle"]
)
def test_model_folder_that_holds_a_pickle_is_taken_without_it(
    store: Store, tiny_model: Path, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for path in tiny_model.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / name).write_bytes(pickle.dumps(Owned(tmp_path / "owned")))
    (folder / "modeling_owned.py").write_text(f"import os\nos.mkdir({str(tmp_path / 'owned')!r})\n")
    taken = store.checkout(base_model.direct(store, BaseModelParams(base_model=str(folder))))
    assert not {name, "modeling_owned.py"} & {path.name for path in taken.rglob("*")}
    assert not (tmp_path / "owned").exists()
    with pytest.raises(ReleaseError, match="not a kind of file"):
        check_publishable(folder)


def test_model_that_is_a_pickle_only_is_refused_unopened(store: Store, tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for path in tiny_model.iterdir():
        if path.suffix != ".safetensors":
            (folder / path.name).write_bytes(path.read_bytes())
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Owned(tmp_path / "owned")))
    with pytest.raises(InputError, match="pickled weights are not opened"):
        base_model.direct(store, BaseModelParams(base_model=str(folder)))
    assert not (tmp_path / "owned").exists()
