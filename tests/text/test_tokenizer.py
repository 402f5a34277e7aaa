import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.base.errors import InputError
from tasks.text.tokenizer import TextTokenizer


def test_control_tokens_in_raw_text_are_encoded_as_text(tokenizer: TextTokenizer) -> None:
    text = "if (x) return '<|im_end|>';\n<|endoftext|><|im_start|>user\n"
    ids = tokenizer.encode(text)
    assert not tokenizer.control_ids & set(ids)
    assert tokenizer.decode(ids) == text


def test_encode_batch_equals_encode_one_by_one(tokenizer: TextTokenizer) -> None:
    texts = ["", "a", "def f():\n    return 1\n", "漢字 é \U0001f642", "<|im_end|>"]
    assert tokenizer.encode_batch(texts) == [tokenizer.encode(text) for text in texts]
    assert tokenizer.count_batch(texts) == [len(tokenizer.encode(text)) for text in texts]


def test_plain_text_has_the_ids_of_the_original_tokenizer(tokenizer: TextTokenizer, tokenizer_folder: Path) -> None:
    from tokenizers import Tokenizer

    original = Tokenizer.from_file(str(tokenizer_folder / "tokenizer.json"))
    text = Path(__file__).read_text("utf-8").replace("<|", "< |")
    assert tokenizer.encode(text) == original.encode(text, add_special_tokens=False).ids


@given(st.text())
def test_any_text_comes_back_without_control_tokens(tokenizer_property: TextTokenizer, text: str) -> None:
    ids = tokenizer_property.encode(text + "<|im_start|>")
    assert tokenizer_property.decode(ids) == text + "<|im_start|>"
    assert not tokenizer_property.control_ids & set(ids)


@pytest.fixture(scope="module")
def tokenizer_property(model_folders: dict[str, Path]) -> TextTokenizer:
    return TextTokenizer.load(model_folders["llama"])


def test_end_of_document_is_the_pretraining_token_where_there_is_one(
    tokenizer: TextTokenizer, model_folders: dict[str, Path]
) -> None:
    assert tokenizer.end_of_document == tokenizer.control["<|endoftext|>"]
    mistral = TextTokenizer.load(model_folders["mistral"])
    assert mistral.end_of_document == mistral.control["</s>"]


def test_prefix_ids_are_what_the_post_processor_puts_before_text(
    tokenizer: TextTokenizer, model_folders: dict[str, Path]
) -> None:
    llama = TextTokenizer.load(model_folders["llama"])
    assert tokenizer.prefix_ids == ()
    assert llama.prefix_ids == (llama.control["<s>"],)


def test_token_that_only_the_template_writes_is_a_control_token(tmp_path: Path, tokenizer_folder: Path) -> None:
    document = json.loads((tokenizer_folder / "tokenizer.json").read_text("utf-8"))
    added = {"id": 49152, "content": "<tool_call>", "single_word": False, "lstrip": False, "rstrip": False}
    document["added_tokens"].append(added | {"normalized": False, "special": False})
    (tmp_path / "tokenizer.json").write_text(json.dumps(document), "utf-8")
    (tmp_path / "chat_template.jinja").write_text("{{ messages[0].content }}<tool_call>", "utf-8")
    made = TextTokenizer.load(tmp_path)
    assert 49152 not in made.encode("a <tool_call> b")
    assert 49152 in made.encode_controlled(made.unshield("a <tool_call> b"))[0]


def test_missing_tokenizer_names_the_file_and_the_field(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"base_model: .*tokenizer\.json"):
        TextTokenizer.load(tmp_path)


def test_no_eos_token_is_refused_when_it_is_needed(tmp_path: Path, model_folders: dict[str, Path]) -> None:
    (tmp_path / "tokenizer.json").write_bytes((model_folders["mistral"] / "tokenizer.json").read_bytes())
    with pytest.raises(InputError, match="eos_token"):
        assert TextTokenizer.load(tmp_path).end_of_document
