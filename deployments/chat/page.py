"""`rawtune chat`: base and tuned model side by side in a browser, on loopback.

Greedy by default, as evaluated; with sources every answer names what it rests on; a thumb under an answer becomes a
dialogue record (`tasks/release/feedback.py`). Needs the extra `chat`. Annotations are evaluated here, because Gradio
reads them.
"""

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from deployments import console
from deployments.interruption import wait_for_interrupt
from tasks.base.artifacts import Artifact
from tasks.base.errors import InputError
from tasks.base.records import Item, Message
from tasks.base.runs import read_records
from tasks.base.store import Store
from tasks.release.feedback import keep_vote
from tasks.release.lineage import ancestor, chosen_release
from tasks.release.registry import Revision
from tasks.release.requests import RETRIEVAL
from tasks.release.serving import LOCAL_HOSTS, LOOPBACK, Endpoint, messages_of, serving, stream_answer
from tasks.release.sources import has_index
from tasks.retrieval.citations import without_sources

ARMS: Final = ("base", "tuned")
EXAMPLES: Final = 6
MAX_WAITING: Final = 16
"""Questions that wait for the models; another is refused."""

CSS: Final = """
#base .wrapper, #tuned .wrapper { padding-top: 2.4rem; box-sizing: border-box; }
@media (max-width: 640px) { #base, #tuned { height: 28vh !important; min-height: 200px; } }
"""
"""The label and the button of a box stand above its text, not on it. On a phone the two answers stand above each other
and the question below still fits on the screen.
"""

Turns = list[dict[str, str]]


@dataclass(frozen=True)
class Desk:
    """What one chat works with."""

    store: Store
    name: str
    release: Revision
    endpoint: Endpoint
    has_sources: bool
    """Whether the server has the models that are shown passages."""
    looks_up: bool
    """Whether they are asked unless somebody says otherwise."""
    examples: list[str]


def chat(store: Store, asked: str | None, port: int = 0, share: bool = False, sources: bool = False) -> None:
    """Opens the chat and prints its address; Ctrl-C ends it.

    Args:
        store: holds the release.
        asked: `NAME` or `NAME@REVISION`; None = the store's only project.
        port: 0 takes any free port.
        share: tunnels the page through Gradio's public relay. Nothing else ever does.
        sources: whether answers come with their sources from the start.

    Raises:
        InputError: there is no such release, it has no index though sources are asked for, or Gradio is not installed.
    """
    with open_chat(store, asked, port, share, sources) as address:
        wait_for_interrupt(lambda: console.errors.print(f"chat at {address}; Ctrl-C ends it", highlight=False))
        console.errors.print("ended")


@contextmanager
def open_chat(
    store: Store, asked: str | None, port: int = 0, share: bool = False, sources: bool = False
) -> Iterator[str]:
    """The chat's address, for the duration of the block."""
    try:
        import gradio
        from starlette.middleware import Middleware
        from starlette.middleware.trustedhost import TrustedHostMiddleware
    except ImportError as error:
        raise InputError("chat: Gradio is not installed; run pip install 'rawtune[chat]'") from error
    name, release = chosen_release(store, asked)
    has_sources = sources or has_index(store, release.artifact)
    with console.errors.status("loading the model"), serving(store, release.artifact, has_sources) as endpoint:
        desk = Desk(store, name, release, endpoint, has_sources, sources, _examples(store, release.artifact))
        page = build_page(desk).queue(max_size=MAX_WAITING)
        _, local, public = page.launch(
            server_name=LOOPBACK,
            server_port=port or None,
            share=share,
            prevent_thread_lock=True,
            quiet=True,
            footer_links=[],
            app_kwargs=None if share else {"middleware": [Middleware(TrustedHostMiddleware, LOCAL_HOSTS)]},
            theme=gradio.themes.Soft(),
            css=CSS,
        )
        try:
            yield public if share else local
        finally:
            page.close(verbose=False)


def answer_both(desk: Desk, question: str, turns: dict[str, Turns], settings: dict[str, Any]) -> Iterator[list[str]]:
    """The two answers so far, each time one of them grows; an error of a server becomes the answer's text."""
    texts = dict.fromkeys(ARMS, "")
    pieces: queue.Queue[tuple[str, str | None]] = queue.Queue()

    def read(arm: str) -> None:
        try:
            messages = messages_of(question, settings["system"], turns[arm])
            for piece in stream_answer(desk.endpoint, f"{arm}{settings['suffix']}", messages, **settings["sampling"]):
                pieces.put((arm, piece))
        except Exception as error:  # whatever it is, the person who asked should see it
            pieces.put((arm, f"\n({type(error).__name__}: {error})"))
        finally:
            pieces.put((arm, None))

    for arm in ARMS:
        threading.Thread(target=read, args=(arm,), daemon=True).start()
    running = len(ARMS)
    while running:
        arm, piece = pieces.get()
        if piece is None:
            running -= 1
        else:
            texts[arm] += piece
            yield [texts[arm] for arm in ARMS]
    yield [texts[arm] for arm in ARMS]


def build_page(desk: Desk) -> Any:
    """The Gradio page."""
    import gradio as gr

    def respond(
        question: str,
        turns: dict[str, Turns],
        system: str,
        temperature: float,
        top_p: float,
        max_tokens: float,
        seed: float,
        lookup: bool,
    ) -> Iterator[tuple[Any, ...]]:
        if not question.strip():
            yield turns["base"], turns["tuned"], turns, ""
            return
        sampling = {"max_tokens": int(max_tokens), "temperature": temperature, "top_p": top_p, "seed": int(seed)}
        asked = {"role": "user", "content": question}
        shown = turns
        settings = {"system": system, "sampling": sampling, "suffix": RETRIEVAL if lookup else ""}
        for texts in answer_both(desk, question, turns, settings):
            shown = {
                arm: [*turns[arm], asked, {"role": "assistant", "content": text}]
                for arm, text in zip(ARMS, texts, strict=True)
            }
            yield shown["base"], shown["tuned"], turns, ""
        yield shown["base"], shown["tuned"], shown, ""

    def vote(arm: str) -> Callable[..., None]:
        def keep(turns: dict[str, Turns], system: str, event: gr.LikeData) -> None:
            position = event.index[0] if isinstance(event.index, tuple) else event.index
            turn = [
                Message.model_validate(one | {"content": without_sources(one["content"])})
                for one in turns[arm][: position + 1]
            ]
            if len(turn) <= position:  # it is still being written
                gr.Info("Please wait until the answer is complete.")
                return
            opening = [Message(role="system", content=system)] if system else []
            keep_vote(desk.store, desk.name, desk.release.revision, arm, [*opening, *turn], event.liked is True)
            gr.Info("Thank you, kept.")

        return keep

    empty: dict[str, Turns] = {arm: [] for arm in ARMS}
    with gr.Blocks(title=f"{desk.name}: base and tuned", analytics_enabled=False, fill_width=True) as page:
        gr.Markdown(f"### {desk.name} · {desk.release.revision} · base: {desk.release.base_model}")
        turns = gr.State(empty)
        with gr.Row():
            boxes = {
                arm: gr.Chatbot(
                    label=arm,
                    elem_id=arm,
                    height=420,
                    buttons=["copy"],
                    min_width=320,
                    placeholder=f"What the {arm} model answers",
                )
                for arm in ARMS
            }
        question = gr.Textbox(placeholder="Ask about the sources", show_label=False, elem_id="question", autofocus=True)
        with gr.Row():
            send = gr.Button("Ask", variant="primary", elem_id="ask", scale=2, min_width=120)
            clear = gr.Button("New chat", scale=1, min_width=120)
        with gr.Accordion("Settings", open=False):
            system = gr.Textbox(label="System prompt", placeholder="empty = the model's own")
            with gr.Row():
                temperature = gr.Slider(0, 2, 0, step=0.1, label="Temperature (0 = greedy, as evaluated)")
                top_p = gr.Slider(0.05, 1, 1, step=0.05, label="Top p")
                max_tokens = gr.Slider(16, 2048, 256, step=16, label="Longest answer, tokens")
                seed = gr.Number(0, label="Seed", precision=0)
            lookup = gr.Checkbox(
                desk.looks_up,
                label="With sources: put the best passages of the sources before the question, for both models",
                interactive=desk.has_sources,
            )
        if desk.examples:
            gr.Examples([[example] for example in desk.examples], question, label="From the evaluation")
        inputs = [question, turns, system, temperature, top_p, max_tokens, seed, lookup]
        outputs = [boxes["base"], boxes["tuned"], turns, question]
        gr.on([send.click, question.submit], respond, inputs, outputs)
        gr.on([clear.click, *(box.clear for box in boxes.values())], lambda: ([], [], empty, ""), None, outputs)
        for arm in ARMS:
            boxes[arm].like(vote(arm), [turns, system], None)
    return page


def _examples(store: Store, release: Artifact) -> list[str]:
    """Questions of the evaluation that have an answer, one of each suite first."""
    items = ancestor(store, release, "evaluation/items")
    if items is None:
        return []
    found = [item for item in read_records(store, items, Item) if item.answerable and len(item.question) < 200]
    firsts = {item.suite: item for item in reversed(found)}
    ordered = [*firsts.values(), *(item for item in found if item not in firsts.values())]
    return [item.question for item in ordered[:EXAMPLES]]
