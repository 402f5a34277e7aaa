import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tasks.mixture.params import MixtureParams
from tasks.mixture.table.draw import repeats, share_out

SOURCES = ("raw-file", "raw-wiki", "dialogue-fact", "dialogue-page")
corpora = st.lists(st.tuples(st.sampled_from(SOURCES), st.integers(0, 9), st.integers(1, 50)), min_size=1, max_size=80)


def choose(corpus, total=None, shares=None, max_repeats=4, seed=0, passes=None, replay_share=0.0):
    sources = [source for source, _, _ in corpus]
    documents = [f"d{document}" for _, document, _ in corpus]
    tokens = np.asarray([length for _, _, length in corpus])
    params = MixtureParams(passes=passes or {}, shares=shares or {}, max_repeats=max_repeats, seed=seed)
    return repeats(sources, documents, tokens, total, params, replay_share), tokens


@given(corpora)
def test_without_budget_and_shares_everything_stands_once(corpus):
    times, _ = choose(corpus)
    assert (times == 1).all()


@given(corpora, st.integers(1, 3000))
def test_budget_is_never_exceeded_and_nothing_repeated(corpus, total):
    times, tokens = choose(corpus, total)
    assert times.max() <= 1
    assert (times * tokens).sum() <= total
    if total >= tokens.sum():
        assert (times == 1).all()


@given(corpora, st.integers(1, 3000), st.integers(1, 5))
def test_shares_repeat_and_sample_within_bounds(corpus, total, max_repeats):
    times, tokens = choose(corpus, total, {"raw": 0.5, "dialogue-fact": 0.5}, max_repeats)
    assert (times * tokens).sum() <= total
    assert times.max() <= max_repeats
    left_out = [source == "dialogue-page" for source, _, _ in corpus]
    assert not times[np.asarray(left_out)].any()


def test_shares_are_met_by_tokens():
    corpus = [("raw-file", n % 7, 100) for n in range(100)] + [("dialogue-fact", n % 7, 10) for n in range(100)]
    times, tokens = choose(corpus, 4000, {"raw": 3, "dialogue": 1})
    spent = times * tokens
    assert spent[:100].sum() == 3000
    assert spent[100:].sum() == 1000


def test_small_family_repeats_to_its_bound_and_leaves_the_rest_to_others():
    corpus = [("raw-file", n, 100) for n in range(100)] + [("dialogue-fact", 0, 10)]
    times, tokens = choose(corpus, 4000, {"raw": 1, "dialogue": 1}, max_repeats=4)
    assert times[100] == 4
    assert (times * tokens).sum() == 3900 + 40


def test_shares_without_budget_repeat_what_is_short_and_drop_nothing():
    corpus = [("raw-file", n, 100) for n in range(10)] + [("dialogue-fact", 0, 10)] * 10 + [("replay-raw", 0, 10)]
    times, _ = choose(corpus, None, {"raw": 0.75, "dialogue": 0.25}, max_repeats=9)
    assert (times[:10] == 1).all()
    assert times[10:20].sum() == 33
    assert times[20] == 0
    times, _ = choose(corpus, None, {"raw": 0.75, "dialogue": 0.25}, max_repeats=2)
    assert (times[10:20] == 2).all()


@given(corpora, st.integers(1, 4), st.integers(1, 4))
def test_passes_repeat_families(corpus, raw, dialogue):
    times, _ = choose(corpus, passes={"raw": raw, "dialogue": dialogue})
    assert times.tolist() == [raw if source.startswith("raw") else dialogue for source, _, _ in corpus]


@given(corpora, st.none() | st.integers(50, 3000), st.floats(0.01, 0.5))
def test_replay_has_its_share_and_stands_there_once(corpus, total, share):
    samples = [("replay-raw", number, 5) for number in range(1_000)]
    times, tokens = choose([*corpus, *samples], total, passes={"raw": 3}, replay_share=share)
    spent = times * tokens
    assert times[len(corpus) :].max(initial=0) <= 1
    assert total is None or spent.sum() <= total
    wanted = share / (1 - share) * spent[: len(corpus)].sum()
    assert min(wanted - 5.5, 5_000) <= spent[len(corpus) :].sum() <= wanted + 0.5


def test_longer_name_takes_its_source_out_of_the_family():
    corpus = [("dialogue-fact", 0, 10)] * 10 + [("dialogue-page", 0, 10)] * 10
    times, _ = choose(corpus, 100, {"dialogue": 1, "dialogue-page": 3})
    assert times[:10].sum() == 2
    assert times[10:].sum() == 7


def test_sample_takes_whole_documents_in_every_source():
    corpus = [(source, document, 10) for source in ("raw-file", "dialogue-fact") for document in range(10)] * 4
    times, _ = choose(corpus, 400)
    taken = {source: {d for (s, d, _), n in zip(corpus, times, strict=True) if n and s == source} for source in SOURCES}
    assert len(taken["raw-file"]) == 5
    assert taken["raw-file"] == taken["dialogue-fact"]


def test_another_seed_samples_other_documents():
    corpus = [("raw-file", n, 10) for n in range(50)]
    assert choose(corpus, 100)[0].tolist() == choose(corpus, 100)[0].tolist()
    assert choose(corpus, 100)[0].tolist() != choose(corpus, 100, seed=1)[0].tolist()


@given(
    st.integers(0, 1000),
    st.dictionaries(st.sampled_from("abcd"), st.tuples(st.floats(0.01, 9), st.integers(0, 400)), min_size=1),
)
def test_parts_fill_total_or_limits(total, groups):
    parts = share_out(total, {n: w for n, (w, _) in groups.items()}, {n: limit for n, (_, limit) in groups.items()})
    assert parts.keys() == groups.keys()
    assert all(0 <= parts[name] <= limit for name, (_, limit) in groups.items())
    assert sum(parts.values()) <= total
    assert sum(parts.values()) >= min(total, sum(limit for _, limit in groups.values())) - len(groups)
