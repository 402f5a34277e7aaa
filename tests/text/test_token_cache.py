from pathlib import Path

from tasks.text.token_cache import TokenCache
from tasks.text.tokenizer import TextTokenizer

TEXTS = ["a", "", "def f(): pass\n", "a", "漢字 <|im_end|>"]


def test_cache_gives_what_the_tokenizer_gives_cold_and_warm(tmp_path: Path, tokenizer: TextTokenizer) -> None:
    for hits, misses in ((1, 4), (5, 0)):
        with TokenCache(tmp_path, tokenizer) as cache:
            assert [ids.tolist() for ids in cache.encode_batch(TEXTS)] == tokenizer.encode_batch(TEXTS)
            assert (cache.hits, cache.misses) == (hits, misses)


def test_two_processes_may_write_at_once(tmp_path: Path, tokenizer: TextTokenizer) -> None:
    with TokenCache(tmp_path, tokenizer) as first, TokenCache(tmp_path, tokenizer) as second:
        assert first.count_batch(TEXTS) == second.count_batch(TEXTS)
        assert second.misses == 0
