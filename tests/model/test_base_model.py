"""A base model that cannot be used is one clear line that names the parameter, the file and the remedy."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.base.errors import InputError
from tasks.base.records import Message
from tasks.base.store import Store
from tasks.model.base_model import base_model, check, copy_folder, is_whole, taken
from tasks.model.params import BaseModelParams
from tasks.text.chat import prompt_ids
from tasks.text.tokenizer import TextTokenizer


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


def shard(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    shards = {"lm_head.weight": "model-00001-of-00001.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}), "utf-8")


def test_of_weights_that_are_there_twice_only_those_of_the_index_are_taken(tiny_model: Path, tmp_path: Path):
    folder, target = tmp_path / "model", tmp_path / "target"
    shutil.copytree(tiny_model, folder)
    shutil.copyfile(folder / "model.safetensors", folder / "consolidated.safetensors")
    shard(folder)
    target.mkdir()
    copy_folder(folder, target, "twice")
    assert [path.name for path in target.glob("*.safetensors")] == ["model-00001-of-00001.safetensors"]


@pytest.mark.parametrize(
    ("names", "shards", "weights"),
    [
        (["model.safetensors", "consolidated.safetensors"], None, ["model.safetensors"]),
        (["part-b.safetensors", "part-a.safetensors"], None, ["part-a.safetensors", "part-b.safetensors"]),
        (["a.safetensors", "model.safetensors"], ["a.safetensors"], ["a.safetensors"]),
        (["pytorch_model.bin", "x.gguf"], None, []),
    ],
)
def test_one_set_of_weights_is_taken(names: list[str], shards: list[str] | None, weights: list[str]):
    assert taken([*names, "config.json", "code.py"], shards) == sorted([*weights, "config.json"])


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ('{"weight_map": {"a": "gone.safetensors"}}', "lacks gone.safetensors, which its model.safetensors.index.json"),
        ('{"weight_map": {"a": "../other.safetensors"}}', "names files in other folders"),
        ("[]", "has no weight_map"),
    ],
)
def test_bad_index_is_one_line(index: str, message: str, tiny_model: Path, tmp_path: Path):
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    (folder / "model.safetensors.index.json").write_text(index, "utf-8")
    with pytest.raises(InputError, match=r"^base_model: ") as failure:
        copy_folder(folder, tmp_path, "bad")
    assert message in str(failure.value)


TURNS = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
PROMPT = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
THINK = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n<think>\n' }}{% endif %}"
ALTERNATE = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('alternate') }}"
    "{% endif %}{{ '[INST] ' + m.content + ' [/INST]' if m.role == 'user' else m.content + '<|im_end|>' }}{% endfor %}"
)


def with_template(tiny_model: Path, folder: Path, template: str) -> Path:
    shutil.copytree(tiny_model, folder)
    (folder / "chat_template.jinja").write_text(template, "utf-8")
    return folder


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (TURNS + THINK, "rewrites what comes before turn 2; no loss mask can be made"),
        ("{{ raise_exception('no such role') }}", "refuses the dialogue (no such role)"),
    ],
)
def test_template_that_cannot_be_trained_with_is_refused_before_anything_is_spent(
    template: str, message: str, tiny_model: Path, tmp_path: Path
):
    with pytest.raises(InputError, match=r"^base_model: its chat template") as failure:
        check(with_template(tiny_model, tmp_path / "model", template), "odd")
    assert message in str(failure.value)
    assert "looked at before anything is spent" in str(failure.value)


def test_template_with_a_date_is_told_the_same_day_whenever_it_is_asked(tiny_model: Path, tmp_path: Path):
    dated = "{{ '<|im_start|>system\nToday is ' + strftime_now('%d %B %Y') + '<|im_end|>\n' }}" + TURNS + PROMPT
    folder = with_template(tiny_model, tmp_path / "model", dated)
    check(folder, "dated")
    tokenizer = TextTokenizer.load(folder)
    asked = tokenizer.decode(prompt_ids(tokenizer, [Message(role="user", content="When?")]))
    assert "Today is 01 January 2026" in asked


def test_system_message_goes_into_the_first_turn_of_a_template_without_one(tiny_model: Path, tmp_path: Path):
    messages = [Message(role="system", content="Be kind."), Message(role="user", content="Hello?")]
    without = TextTokenizer.load(with_template(tiny_model, tmp_path / "without", ALTERNATE))
    assert without.decode(prompt_ids(without, messages)) == "[INST] Be kind.\n\nHello? [/INST]"
    within = TextTokenizer.load(with_template(tiny_model, tmp_path / "with", TURNS + PROMPT))
    assert "system\nBe kind." in within.decode(prompt_ids(within, messages))


def test_tokenizer_with_more_ids_than_the_embedding_has_rows_is_refused(tiny_model: Path, tmp_path: Path):
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": config["vocab_size"] - 1}), "utf-8")
    with pytest.raises(InputError, match=r"its tokenizer has ids up to \d+, its embedding \d+ rows"):
        check(folder, "mixed up")
