"""Steps: cached, locked, checked work that reads finished artifacts and writes one new artifact.

A step's key is the hash of its name, its VERSION, the parameters that bear identity and the sha256 of its inputs, so
an early step whose output is byte-identical cuts off everything after it. Prefect's cache policy supplies that key,
which makes hits show as *Cached* in its UI; but Prefect asks only whether a result record of that key exists, so
before it is asked the wrapper checks the manifest and the blob's bytes, and has the step redone when they are not
right.

    @step("corpus/chunk", VERSION)
    def chunk(run: StepRun, documents: Artifact, params: RenderParams, max_tokens: int) -> None: ...

    chunks = chunk(store, documents=split, params=params.dataset.render, max_tokens=2048)      # inside a flow

Calling a step can do two other things: only explain whether it would be a hit (`explaining`), or run it without Prefect
(`without_prefect`).
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import time
import typing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Concatenate, Generic, ParamSpec

import prefect
from prefect.cache_policies import CachePolicy
from prefect.client.schemas.objects import State
from prefect.context import TaskRunContext
from prefect.states import Cancelled, Completed

from tasks.base.artifacts import Artifact, Manifest
from tasks.base.errors import Pruned, StoreError
from tasks.base.ledger import current_ledger
from tasks.base.locks import hold
from tasks.base.params import Params, identity_of
from tasks.base.progress import Event, emit, inside
from tasks.base.runs import StepRun
from tasks.base.store import Store

P = ParamSpec("P")

Elsewhere = Callable[[str, dict[str, Any], Callable[[], bool]], None]
"""Does a step's work on another machine: takes key, arguments and a look whether the store has the artifact, which
somebody else may have made while this process waited; returns when the store has it."""

PENDING = "pending"
"""`sha256` of an artifact that `explain` cannot know because its step has yet to run."""


@dataclass
class StepKey(CachePolicy):
    """Prefect cache policy that hands over the key which the wrapper computed."""

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        """`room/name/<key>`, which is also the path of Prefect's result record."""
        call: _Call = inputs["call"]
        return f"{call.step.name}/{call.key}"


@dataclass(frozen=True)
class Step(Generic[P]):
    """A named body with caching around it. Call it with the store and the body's own arguments."""

    name: str
    version: str
    body: Callable[Concatenate[StepRun, P], None]
    retries: int = 0
    elsewhere: Elsewhere | None = None

    def handed_to(self, elsewhere: Elsewhere) -> Step[P]:
        """The same step, done by another machine that shares the store. Key, record and artifact stay the same.

        No lock is held meanwhile: whoever does the work holds it.
        """
        return dataclasses.replace(self, elsewhere=elsewhere)

    def named(self, name: str) -> Step[P]:
        """The same body under another name, for steps that exist once per arm or trial."""
        return dataclasses.replace(self, name=f"{self.name.split('/')[0]}/{name}")

    def __call__(self, store: Store, *args: P.args, **kwargs: P.kwargs) -> Artifact:
        """Runs the step as a Prefect task, or takes its artifact from the store when the key has one that is whole."""
        call = self._call(store, *args, **kwargs)
        noted = explanations()
        if noted is not None:
            return _explain(call, noted)
        emit(Event(self.name, "started"))
        started = time.monotonic()
        try:
            artifact, cached = call.execute() if is_without_prefect() else self._in_prefect(call)
        except BaseException as error:
            self._note("Skipped" if isinstance(error, Pruned) else "Failed", started, None)
            raise
        self._note("Cached" if cached else "Completed", started, artifact)
        return artifact

    def _in_prefect(self, call: _Call) -> tuple[Artifact, bool]:
        task = self._task().with_options(refresh_cache=call.find() is None, task_run_name=self.name)
        state: State[Artifact] = task(call, return_state=True)
        if state.name == "Pruned":
            raise Pruned(state.message)
        state.result()
        manifest = call.store.manifest(self.name, call.key)
        assert manifest is not None, f"{self.name} returned without a manifest"
        return call.store.artifact(manifest), state.name == "Cached"

    def direct(self, store: Store, *args: P.args, **kwargs: P.kwargs) -> Artifact:
        """The same without Prefect: for benchmarks of orchestration and for tests."""
        return self._call(store, *args, **kwargs).execute()[0]

    def skip(self) -> None:
        """Notes in the run's report that parameters switch the step off."""
        if explanations() is None:
            self._note("Skipped", time.monotonic(), None)

    def key_document(self, *args: P.args, **kwargs: P.kwargs) -> dict[str, Any]:
        """The JSON document whose hash is the key."""
        arguments = self._bind(args, kwargs)
        inputs = {name: _shas(value) for name, value in arguments.items() if _is_input(value)}
        parameters = {name: identity_of(value) for name, value in arguments.items() if not _is_input(value)}
        return {"step": self.name, "version": self.version, "parameters": parameters, "inputs": inputs}

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Under which the store keeps the artifact of these arguments."""
        canonical = json.dumps(
            self.key_document(*args, **kwargs), sort_keys=True, separators=(",", ":"), ensure_ascii=False
        )
        return hashlib.sha256(canonical.encode()).hexdigest()

    def _bind(self, args: Any, kwargs: Any) -> dict[str, Any]:
        bound = inspect.signature(self.body).bind(None, *args, **kwargs)
        bound.apply_defaults()
        hints = typing.get_type_hints(self.body)
        arguments = dict(list(bound.arguments.items())[1:])
        return {name: _narrow(hints.get(name), value) for name, value in arguments.items()}

    def _call(self, store: Store, *args: P.args, **kwargs: P.kwargs) -> _Call:
        document = self.key_document(*args, **kwargs)
        return _Call(self, store, self.key(*args, **kwargs), document, self._bind(args, kwargs))

    def _task(self) -> prefect.Task[[_Call], Any]:
        return prefect.Task(
            fn=_run_in_prefect,
            name=self.name,
            version=self.version,
            cache_policy=StepKey(),
            persist_result=True,
            result_serializer="json",
            retries=self.retries,
        )

    def _note(
        self,
        state: typing.Literal["Completed", "Cached", "Skipped", "Failed"],
        started: float,
        artifact: Artifact | None,
    ) -> None:
        seconds = time.monotonic() - started
        emit(Event(self.name, "finished", state=state, done=seconds, text=artifact.told() if artifact else ""))
        book = current_ledger()
        if book is not None:
            book.outcome(self.name, state, seconds, artifact)


def step(name: str, version: str, retries: int = 0) -> Callable[[Callable[Concatenate[StepRun, P], None]], Step[P]]:
    """Makes a step of a body.

    Args:
        name: `room/name`, as it appears in the store, the UI and the run's JSON.
        version: changed by hand whenever the body makes other bytes of the same inputs.
        retries: how often Prefect repeats a failed run of it; only for steps that use a network.
    """
    return lambda body: Step(name, version, body, retries)


@dataclass(frozen=True)
class _Call:
    step: Step[Any]
    store: Store
    key: str
    document: dict[str, Any]
    arguments: dict[str, Any] = field(repr=False)

    def find(self) -> Manifest | None:
        """The key's manifest if its blob is whole; a wrong blob is set aside."""
        manifest = self.store.manifest(self.step.name, self.key)
        if manifest is None:
            return None
        if not self.store.is_whole(manifest):
            self.store.set_aside(manifest.sha256)
            return None
        return manifest

    def execute(self) -> tuple[Artifact, bool]:
        """The artifact, and whether it was there already. One process at a time does the work of a key.

        Raises:
            StoreError: another machine says that it has done the work, but the store has no artifact of the key.
        """
        with inside(self.step.name):
            return self._execute()

    def _execute(self) -> tuple[Artifact, bool]:
        if self.step.elsewhere is not None:
            return self._elsewhere(self.step.elsewhere)
        with hold(self.store, f"{self.step.name}/{self.key}"):
            kept = self.find()
            if kept is not None:
                return self.store.artifact(kept), True
            with self.store.scratch(f"{self.step.name}/{self.key}") as folder:
                run = StepRun(self.store, self.step.name, self.step.version, self.key, folder)
                self.step.body(run, **self.arguments)
                manifest = run.finish(
                    self.document,
                    {name: _references(value) for name, value in self.arguments.items() if _is_input(value)},
                )
                return self.store.commit(folder, manifest), False

    def _elsewhere(self, do: Elsewhere) -> tuple[Artifact, bool]:
        kept = self.find()
        if kept is not None:
            return self.store.artifact(kept), True
        do(self.key, self.arguments, lambda: self.find() is not None)
        finished = self.find()
        if finished is None:
            raise StoreError(f"{self.step.name} was done elsewhere, but {self.store.uri} does not have it")
        return self.store.artifact(finished), False


def _run_in_prefect(call: _Call) -> Any:
    try:
        artifact, cached = call.execute()
    except Pruned as reason:
        return Cancelled(name="Pruned", message=str(reason))
    if cached:  # made under another Prefect home or by a run beside this one: shown as what it is
        return Completed(name="Cached", data=artifact, message=f"found in the store: {artifact.told()}")
    return Completed(data=artifact, message=artifact.told() or None)


def _explain(call: _Call, noted: list[Explanation]) -> Artifact:
    waiting = sorted(
        {
            artifact.step
            for value in call.arguments.values()
            for artifact in _artifacts(value)
            if artifact.sha256 == PENDING
        }
    )
    if waiting:
        noted.append(Explanation(call.step.name, False, tuple(f"waits for {name}" for name in waiting)))
        return Artifact(step=call.step.name, version=call.step.version, uri="", sha256=PENDING, counts={})
    manifest = call.store.manifest(call.step.name, call.key)
    if manifest is not None and call.store.is_whole(manifest):
        noted.append(Explanation(call.step.name, True))
        return call.store.artifact(manifest)
    noted.append(Explanation(call.step.name, False, why_missed(call.store, call.document, manifest)))
    return Artifact(step=call.step.name, version=call.step.version, uri="", sha256=PENDING, counts={})


def _narrow(hint: Any, value: Any) -> Any:
    if isinstance(value, Params) and isinstance(hint, type) and issubclass(hint, Params) and type(value) is not hint:
        return hint.narrow(value)
    return value


def _is_input(value: Any) -> bool:
    return isinstance(value, Artifact) or (
        isinstance(value, list | tuple) and bool(value) and all(isinstance(item, Artifact) for item in value)
    )


def _artifacts(value: Any) -> tuple[Artifact, ...]:
    if isinstance(value, Artifact):
        return (value,)
    return tuple(value) if _is_input(value) else ()


def _shas(value: Any) -> Any:
    return value.sha256 if isinstance(value, Artifact) else [artifact.sha256 for artifact in value]


def _references(value: Any) -> Any:
    keep = {"step", "version", "sha256"}
    return (
        value.model_dump(include=keep)
        if isinstance(value, Artifact)
        else [artifact.model_dump(include=keep) for artifact in value]
    )


@dataclass(frozen=True)
class Explanation:
    """Whether a step would be a hit, and if not, which part of its key differs from the last one made."""

    step: str
    hit: bool
    differences: tuple[str, ...] = ()


@contextmanager
def explaining() -> Iterator[list[Explanation]]:
    """Inside the block calling a step runs nothing: it notes whether it would be a hit and why not."""
    explanations: list[Explanation] = []
    token = _explaining.set(explanations)
    try:
        yield explanations
    finally:
        _explaining.reset(token)


@contextmanager
def without_prefect() -> Iterator[None]:
    """Inside the block steps run as plain functions, for commands that are no flow run.

    Keys and artifacts are the same.
    """
    token = _without_prefect.set(True)
    try:
        yield
    finally:
        _without_prefect.reset(token)


def explanations() -> list[Explanation] | None:
    """Where a called step is to note its explanation; None if it is to run."""
    return _explaining.get()


def is_without_prefect() -> bool:
    """Whether a called step runs as a plain function."""
    return _without_prefect.get()


_explaining: ContextVar[list[Explanation] | None] = ContextVar("rawtune_explaining", default=None)
_without_prefect: ContextVar[bool] = ContextVar("rawtune_without_prefect", default=False)


def why_missed(store: Store, document: dict[str, Any], manifest: Manifest | None) -> tuple[str, ...]:
    """One line per reason.

    Args:
        store: where the step's artifact was looked for.
        document: the key document of the step that is to run.
        manifest: what the store has under that key, with a blob that is not whole; null if it has nothing.
    """
    if manifest is not None:
        return ("its artifact is missing or has wrong bytes",)
    last = next(store.manifests(document["step"]), None)
    if last is None:
        return ("never run in this store",)
    return tuple(_differences(last.key_document, document))


def _differences(old: Any, new: Any, path: str = "") -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            yield from _differences(old.get(name), new.get(name), f"{path}.{name}" if path else name)
    elif old != new:
        yield f"{path}: {_short(old)} → {_short(new)}"


def _short(value: Any) -> str:
    text = value[:12] if isinstance(value, str) and len(value) == 64 else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "…"
