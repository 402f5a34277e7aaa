import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.base.records import IGNORED, Message
from tasks.mixture.table.encode import DialogueCache, group_digest
from tasks.text.chat import render_dialogue
from tasks.text.tokenizer import TextTokenizer

texts = st.text(max_size=30)
groups = st.lists(
    st.lists(st.lists(st.tuples(texts, texts), min_size=1, max_size=2), min_size=1, max_size=3), max_size=4
)


@given(groups)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_remembered_dialogues_equal_rendered_ones(store, byte_model, tmp_path, drawn):
    tokenizer = TextTokenizer.load(store.checkout(byte_model))
    turns = [[[turn for q, a in one for turn in (("user", q), ("assistant", a))] for one in group] for group in drawn]
    with DialogueCache(tmp_path, tokenizer) as cache:
        made = [cache.render(turns), cache.render(turns)]
    for rendered in made:
        for found, group in zip(rendered, turns, strict=True):
            start = 0
            for length, one in zip(found.lengths.tolist(), group, strict=True):
                ids, labels = render_dialogue(tokenizer, [Message(role=role, content=text) for role, text in one])
                part = slice(start, start + length)
                assert found.ids[part].tolist() == ids
                assert np.where(found.mask[part], found.ids[part], IGNORED).tolist() == labels
                start += length
            assert start == len(found.ids) == len(found.mask)


def test_dialogues_grouped_otherwise_are_other_entries():
    first, second = (("user", "a"), ("assistant", "b")), (("user", "c"), ("assistant", "d"))
    digests = [group_digest(group) for group in ([first, second], [second, first], [first], [(*first, *second)])]
    assert len(set(digests)) == 4


def test_another_template_has_another_cache(store, byte_model, tmp_path):
    tokenizer = TextTokenizer.load(store.checkout(byte_model))
    question = [[(("user", "Q"), ("assistant", "A"))]]
    with DialogueCache(tmp_path, tokenizer) as cache:
        first = cache.render(question)[0].ids.tolist()
    tokenizer.chat_template = f"<|im_start|>{tokenizer.chat_template}"
    with DialogueCache(tmp_path, tokenizer) as cache:
        second = cache.render(question)[0].ids.tolist()
    assert second == [first[0], *first]
