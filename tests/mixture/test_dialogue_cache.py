from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.base.records import Message
from tasks.mixture.dialogue_cache import DialogueCache
from tasks.text.chat import render_dialogue
from tasks.text.tokenizer import TextTokenizer

texts = st.text(max_size=30)
dialogues = st.lists(st.lists(st.tuples(texts, texts), min_size=1, max_size=2), max_size=5)


@given(dialogues)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_remembered_dialogues_equal_rendered_ones(store, byte_model, tmp_path, drawn):
    tokenizer = TextTokenizer.load(store.checkout(byte_model))
    messages = [
        [message for q, a in one for message in (Message(role="user", content=q), Message(role="assistant", content=a))]
        for one in drawn
    ]
    with DialogueCache(tmp_path, tokenizer) as cache:
        made = [cache.render_batch(messages), cache.render_batch(messages)]
    for rendered in made:
        for found, one in zip(rendered, messages, strict=True):
            assert [part.tolist() for part in found] == [list(part) for part in render_dialogue(tokenizer, one)]


def test_another_template_has_another_cache(store, byte_model, tmp_path):
    tokenizer = TextTokenizer.load(store.checkout(byte_model))
    question = [Message(role="user", content="Q"), Message(role="assistant", content="A")]
    with DialogueCache(tmp_path, tokenizer) as cache:
        first = cache.render_batch([question])[0][0].tolist()
    tokenizer.chat_template = f"<|im_start|>{tokenizer.chat_template}"
    with DialogueCache(tmp_path, tokenizer) as cache:
        second = cache.render_batch([question])[0][0].tolist()
    assert second == [first[0], *first]
