import json
from pathlib import Path


def test_tiny_model_fixture_has_the_stubs_tokenizer(tiny_model: Path, tokenizer_folder: Path) -> None:
    names = {path.name for path in tiny_model.iterdir()}

    assert names >= {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
    }
    assert (tiny_model / "tokenizer.json").read_bytes() == (tokenizer_folder / "tokenizer.json").read_bytes()


def test_tokenizer_of_the_stub_names_the_special_tokens_that_its_file_names(tokenizer_folder: Path) -> None:
    config = json.loads((tokenizer_folder / "tokenizer_config.json").read_text("utf-8"))

    assert {role: config[f"{role}_token"] for role in ("bos", "eos", "pad", "unk")} == {
        "bos": "<|im_start|>",
        "eos": "<|im_end|>",
        "pad": "<|im_end|>",
        "unk": "<|endoftext|>",
    }
