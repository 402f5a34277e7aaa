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
