import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tasks.text.ngrams import (
    PERMUTATIONS,
    jaccard,
    normalise,
    signatures,
    similar_pairs,
    window_hashes,
    words,
)

SENTENCE = (
    "Products may be switched from a recurring contribution to digital plus supporter "
    "while the account is not in payment failure"
)


def test_copy_with_other_case_spacing_and_punctuation_is_equal() -> None:
    copy = (
        "  PRODUCTS may,be switched\nfrom a “recurring” contribution - to digital plus supporter;"
        "while the account IS not in payment failure!"
    )
    assert normalise(copy) == normalise(SENTENCE)
    assert window_hashes(words(copy), 8).tolist() == window_hashes(words(SENTENCE), 8).tolist()
    assert jaccard(*signatures([SENTENCE, copy])) == 1.0


def test_windows_need_enough_words() -> None:
    assert len(window_hashes(words(SENTENCE), 13)) == len(words(SENTENCE)) - 12
    assert window_hashes(["one", "two", "three"], 8).tolist() == []


def test_hashes_are_the_same_in_every_process() -> None:
    assert window_hashes(["a", "b", "c"], 2).tolist() == [12108274463293437693, 399965937876855113]


@given(st.lists(st.sampled_from("abcde"), max_size=30), st.integers(1, 8))
def test_equal_windows_have_equal_hashes(tokens: list[str], length: int) -> None:
    hashes = window_hashes(tokens, length).tolist()
    windows = [tuple(tokens[start : start + length]) for start in range(len(tokens) - length + 1)]
    assert len(set(hashes)) == len(set(windows))
    assert len(hashes) == len(windows)


def test_signature_estimates_jaccard() -> None:
    numbers = [f"w{number}" for number in range(400)]
    matrix = signatures([" ".join(numbers), " ".join(numbers[:380]), " ".join(numbers[200:])])
    assert matrix.shape == (3, PERMUTATIONS)
    assert matrix.dtype == np.uint32
    assert 0.85 <= jaccard(matrix[0], matrix[1]) <= 1.0
    assert 0.3 <= jaccard(matrix[0], matrix[2]) <= 0.7


def test_similar_pairs_connect_many_copies_with_few_comparisons() -> None:
    matrix = signatures([SENTENCE + " " + SENTENCE[::-1]] * 500 + ["something else altogether " * 5])
    pairs = list(similar_pairs(matrix, 0.9))
    assert {row for pair in pairs for row in pair[:2]} == set(range(500))
    assert len(pairs) < 1_000


def test_no_texts_have_no_signatures() -> None:
    assert signatures([]).shape == (0, PERMUTATIONS)
    assert list(similar_pairs(signatures([]), 0.5)) == []


def test_scripts_without_spaces_are_compared_by_character() -> None:
    assert words("系统启动abc 123 カタカナ") == [*"系统启动", "abc", "123", *"カタカナ"]
    assert words("мир 한국어 naïve") == ["мир", "한국어", "naïve"]
    text = "".join(f"系统启动时会读取配置文件并检查每一项设置第{number}条。" for number in range(60))
    other = text.replace("第4条", "第四项").replace("第8条", "第八项")
    assert jaccard(*signatures([text, other])) > 0.85
