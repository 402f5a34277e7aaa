"""Kinds of documents are open: those that steps know are members of `Kind`, any other word is prose."""

import pytest
from pydantic import ValidationError

from tasks.base.records import Document, Kind


def document(kind: str) -> Document:
    return Document(
        id=f"a/{kind}/b", kind=kind, repo="a", revision="", path="b", title="", url=None, text="x",
        created_at=None, updated_at=None,
    )  # fmt: skip


@pytest.mark.parametrize("kind", [*Kind, "memo", "meeting-notes"])
def test_kind_comes_back_as_it_was_written(kind: str) -> None:
    found = Document.model_validate_json(document(kind).line())
    assert found == document(str(kind))
    assert (found.kind is Kind.WIKI) == (kind == "wiki")
    assert found.is_page == (kind not in ("file", "pull"))


@pytest.mark.parametrize("kind", ["", "Memo", "two words", "a/b", "1"])
def test_kind_is_one_word_in_small_letters(kind: str) -> None:
    with pytest.raises(ValidationError):
        document(kind)
