"""The release folder: what a release consists of, in the Hub's layout, without pickles or local paths."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any, Final

from tasks.base.artifacts import file_sha256
from tasks.base.errors import ReleaseError
from tasks.base.store import CHUNK_BYTES
from tasks.text.chat import stop_ids
from tasks.text.secrets import find_secrets
from tasks.text.tokenizer import TextTokenizer

READABLE: Final = frozenset({".json", ".jsonl", ".md", ".html"})

ADAPTER: Final = ("adapter_model.safetensors", "adapter_config.json")
TOKENIZER: Final = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
TOKENIZER_OPTIONAL: Final = ("special_tokens_map.json", "tokenizer.model", "added_tokens.json")
PUBLISHABLE: Final = frozenset(
    {".safetensors", ".json", ".jinja", ".md", ".html", ".gguf", ".model", ".jsonl", ".npy", ".parquet"}
)
"""Suffixes that a release may hold. Everything else is refused, above all pickles (.bin, .pt, .pkl). NumPy's arrays are
those of the index, written and read without pickles.
"""


def write_folder(folder: Path, adapter: Path, model: Path, model_id: str) -> dict[str, Any]:
    """Copies adapter, tokenizer, chat template and generation settings into the folder.

    Args:
        folder: where the release is made.
        adapter: PEFT adapter with safetensors weights.
        model: base model in Hugging Face layout; its tokenizer is the trained one.
        model_id: what the adapter's config shall name as its base, in place of a path of this machine.

    Returns:
        The adapter's config as released.

    Raises:
        ReleaseError: a file that a release needs is missing.
    """
    for source, names in ((adapter, ADAPTER), (model, TOKENIZER)):
        for name in names:
            if not (source / name).is_file():
                raise ReleaseError(f"release/publish: {name} is missing from the {source.name[:12]} artifact")
            shutil.copyfile(source / name, folder / name)
    for name in TOKENIZER_OPTIONAL:
        if (model / name).is_file():
            shutil.copyfile(model / name, folder / name)
    config = released_config(adapter, model_id)
    write_json(folder / "adapter_config.json", config)
    write_json(folder / "generation_config.json", generation_config(model))
    return config


def released_config(adapter: Path, model_id: str) -> dict[str, Any]:
    """The adapter's configuration as released: its base model by name, not by a local path."""
    config: dict[str, Any] = json.loads((adapter / "adapter_config.json").read_text("utf-8"))
    return config | {"base_model_name_or_path": model_id, "inference_mode": True}


def adapter_identity(config: dict[str, Any], weights: str) -> str:
    """Hash of an adapter's weights and released configuration; equal adapters make equal releases."""
    return hashlib.sha256(json.dumps([weights, config], sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def weights_sha256(folder: Path) -> str:
    """Hash of an adapter's weights."""
    return file_sha256(folder / "adapter_model.safetensors")


def generation_config(model: Path) -> dict[str, Any]:
    """Greedy decoding that stops where the evaluation stops: at the end of the turn or of the document.

    The end-of-turn token must survive: without it servers never stop
    (https://github.com/unslothai/unsloth/issues/5386).
    """
    settings: dict[str, Any] = {}
    for name in ("config.json", "generation_config.json"):
        if (model / name).is_file():
            document = json.loads((model / name).read_text("utf-8"))
            settings |= {
                key: document[key] for key in ("bos_token_id", "pad_token_id") if document.get(key) is not None
            }
    return {"do_sample": False, **settings, "eos_token_id": list(stop_ids(TextTokenizer.load(model)))}


def check_publishable(folder: Path) -> list[Path]:
    """The folder's files, sorted by relative path.

    Raises:
        ReleaseError: a file is of a kind that a release must not hold.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        if path.suffix not in PUBLISHABLE:
            raise ReleaseError(f"release/publish: {path.name} is not a kind of file that is released ({path.suffix})")
    return files


def check_text(folder: Path) -> None:
    """Searches what people can read of a release for secrets.

    Raises:
        ReleaseError: there is one; the message names file and kind, never the secret.
    """
    for path in sorted(folder.iterdir()):
        if path.suffix in READABLE and path.name not in (*TOKENIZER, *TOKENIZER_OPTIONAL):
            for secret in find_secrets(path.read_text("utf-8")):
                if secret.confidence != "low":
                    raise ReleaseError(f"release/publish: {path.name} would publish a secret ({secret.rule})")


def write_json(path: Path, document: Any) -> None:
    """Writes JSON as everything in a release is written: UTF-8, indented, one final newline."""
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", "utf-8")


def git_blob_sha1(path: Path) -> str:
    """Git's id of a file's content."""
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as reader:
        while piece := reader.read(CHUNK_BYTES):
            digest.update(piece)
    return digest.hexdigest()
