"""Sends calls through OpenAI's Batch API at half price: collects, uploads, submits, polls, reads results.

A record of every batch is written before it is submitted, and the batch bears the record's mark as metadata, so that
after a
crash at any point the batch is found again instead of being paid twice. Results that came back are not asked for
again; what an expired batch left undone goes into the next one.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tasks.base.errors import BudgetError, InputError, SourceError
from tasks.base.files import write_text
from tasks.llm.budget import Budget
from tasks.llm.calls import Call, Reply
from tasks.llm.prices import Prices
from tasks.llm.wire import MODERATION_CODES, Dialect, reply_of, request_body, usage_of

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.types import Batch

MARK: Final = "rawtune_batch"
"""Metadata key of a batch that bears its record's mark."""

IDLE_SECONDS: Final = 0.2
"""A batch is closed when no further call has come for so long: then every worker waits for an answer."""

MAX_ROUNDS: Final = 3
"""How often a call that a batch left undone is put into another one."""

MAX_BATCH_BYTES: Final = 180_000_000
"""OpenAI takes 200 MB."""

ENDED: Final = ("completed", "failed", "expired", "cancelled")

Waiting = tuple[Call, asyncio.Future[Reply]]


class Batches:
    """A transport that gathers calls into batches of at most `most`."""

    def __init__(
        self,
        client: AsyncOpenAI,
        budget: Budget,
        prices: dict[str, Prices],
        folder: Path,
        most: int,
        poll_seconds: float,
    ) -> None:
        self.client = client
        self.budget = budget
        self.prices = prices
        self.folder = folder
        self.most = most
        self.poll_seconds = poll_seconds
        self.section = budget.section
        self.requests = 0
        """Requests put into batches."""
        self._early: dict[str, Reply] = {}
        """Replies of batches that an earlier run had submitted."""
        self._queue: list[Waiting] = []
        self._rounds: dict[str, int] = {}
        self._arrived = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._error: Exception | None = None

    async def send(self, call: Call) -> Reply:
        """The reply to a call; see `Transport`."""
        if self._task is None:
            self._task = asyncio.create_task(self._work())
        if self._error is not None:
            raise self._error
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._queue.append((call, future))
        self._arrived.set()
        return await future

    async def close(self) -> None:
        """Ends the work and the connections; a batch under way stays recorded."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.client.close()

    def forget(self) -> None:
        """Removes the records: every result is in the response cache or in the artifact."""
        for record in self.folder.glob("*.json"):
            record.unlink()

    async def _work(self) -> None:
        import openai

        try:
            await self._recover()
            while True:
                await self._arrived.wait()
                self._arrived.clear()
                await self._gathered()
                while self._queue:
                    await self._round()
        except openai.OpenAIError as error:
            self._fail(SourceError(f"{self.section}.batch: {self.client.base_url} fails ({error})"))
        except Exception as error:  # handed to whoever waits; the work ends with it
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._error = error
        queue, self._queue = self._queue, []
        for _, future in queue:
            if not future.done():
                future.set_exception(error)

    async def _gathered(self) -> None:
        size = -1
        while len(self._queue) != size and len(self._queue) < self.most:
            size = len(self._queue)
            await asyncio.sleep(IDLE_SECONDS)

    async def _round(self) -> None:
        """One batch: as many of the waiting calls as fit the limits and the budget."""
        queue, self._queue = self._queue, []
        group: list[Waiting] = []
        names: dict[str, str] = {}
        size = 0
        short: BudgetError | None = None
        for number, (call, future) in enumerate(queue):
            if call.digest in self._early:
                future.set_result(self._early.pop(call.digest))
                continue
            length = len(json.dumps(request_body(call, Dialect())))
            if len(group) >= self.most or (group and size + length > MAX_BATCH_BYTES):
                self._queue += queue[number:]
                break
            try:
                names[call.digest] = self.budget.try_reserve(self.prices[call.model].worst(call))
            except BudgetError as error:
                short = error
                self._queue += queue[number:]
                break
            size += length
            group.append((call, future))
        if group:
            await self._submit(group, names)
        elif short is not None:
            raise short

    async def _submit(self, group: list[Waiting], names: dict[str, str]) -> None:
        content = "".join(_line(call) + "\n" for call, _ in group).encode()
        mark = uuid.uuid4().hex
        models = {call.digest: call.model for call, _ in group}
        sizes = {call.digest: call.sent_bytes for call, _ in group}
        record = {"mark": mark, "reservations": names, "models": models, "bytes": sizes, "batch": None}
        self._save(record)
        self.requests += len(group)
        try:
            batch = await self._create(content, mark)
            self._save(record | {"batch": batch.id})
            replies = await self._collect(await self._ended(batch), names, models, sizes)
        except BaseException:
            self._queue += group  # so that `_fail` reaches them
            raise
        for call, future in group:
            reply = replies.get(call.digest)
            if reply is not None:
                future.set_result(reply)
                continue
            self._rounds[call.digest] = self._rounds.get(call.digest, 0) + 1
            if self._rounds[call.digest] >= MAX_ROUNDS:
                future.set_result(Reply("", "server-error", f"left undone by {MAX_ROUNDS} batches", None))
            else:
                self._queue.append((call, future))

    async def _create(self, content: bytes, mark: str) -> Batch:
        import openai

        try:
            file = await self.client.files.create(file=(f"{mark[:16]}.jsonl", content), purpose="batch")
            # No blind retry: a second submission would be paid as well.
            return await self.client.with_options(max_retries=0).batches.create(
                input_file_id=file.id,
                endpoint="/v1/chat/completions",
                completion_window="24h",
                metadata={MARK: mark},
            )
        except openai.APIStatusError as error:
            if error.status_code in (401, 403):
                raise InputError(f"OPENAI_API_KEY: refused by {self.client.base_url} ({error.message})") from error
            if error.status_code == 404:
                raise InputError(
                    f"{self.section}.batch: {self.client.base_url} has no Batch API; switch it off"
                ) from error
            raise SourceError(f"{self.section}.batch: a batch was refused ({error.message})") from error
        except openai.APIConnectionError as error:
            known = await self._find(mark)
            if known is None:
                raise SourceError(f"{self.section}.batch: {self.client.base_url} does not answer ({error})") from error
            return known

    async def _find(self, mark: str) -> Batch | None:
        async for batch in self.client.batches.list(limit=100):
            if (batch.metadata or {}).get(MARK) == mark:
                return batch
        return None

    async def _ended(self, batch: Batch) -> Batch:
        while batch.status not in ENDED:
            await asyncio.sleep(self.poll_seconds)
            batch = await self.client.batches.retrieve(batch.id)
        return batch

    async def _collect(
        self, batch: Batch, names: dict[str, str], models: dict[str, str], sizes: dict[str, int]
    ) -> dict[str, Reply]:
        """Replies by call digest; calls without one are to be asked again. Settles every reservation of the batch."""
        if batch.status == "failed":
            problems = "; ".join(str(error.message) for error in (batch.errors and batch.errors.data) or [])
            await self._free(names)
            self._path((batch.metadata or {}).get(MARK, "")).unlink(missing_ok=True)
            raise SourceError(f"{self.section}.batch: batch {batch.id} failed ({problems})")
        replies: dict[str, Reply] = {}
        for identifier in (batch.output_file_id, batch.error_file_id):
            if not identifier:
                continue
            text = (await self.client.files.content(identifier)).text
            replies |= {digest: reply for digest, reply in _results(text.splitlines()) if digest in names}
        for digest, name in names.items():
            reply = replies.get(digest)
            billed: Decimal | None = Decimal(0)  # nothing is billed for what a batch did not answer
            if reply is not None and (reply.usage is not None or reply.content):
                billed = self.prices[models[digest]].billed(sizes[digest], reply.usage, reply.content)
            if billed is None:
                await self.budget.keep(name)
            else:
                await self.budget.settle(name, billed)
        return replies

    async def _recover(self) -> None:
        """Takes up the batches that an earlier run under this key left behind."""
        for path in sorted(self.folder.glob("*.json")):
            record = json.loads(path.read_text("utf-8"))
            names: dict[str, str] = record["reservations"]
            batch = await self._find(record["mark"])
            if batch is None:
                if record["batch"] is None:  # the crash came before the submission
                    await self._free(names)
                path.unlink()  # else the server has forgotten it, and what it cost stays reserved
                continue
            self._early |= await self._collect(await self._ended(batch), names, record["models"], record["bytes"])

    async def _free(self, names: dict[str, str]) -> None:
        for name in names.values():
            await self.budget.settle(name, Decimal(0))

    def _path(self, mark: str) -> Path:
        return self.folder / f"{mark}.json"

    def _save(self, record: dict[str, Any]) -> None:
        write_text(self._path(record["mark"]), json.dumps(record))


def _line(call: Call) -> str:
    body = request_body(call, Dialect())
    document = {"custom_id": call.digest, "method": "POST", "url": "/v1/chat/completions", "body": body}
    return json.dumps(document, ensure_ascii=False)


def _results(lines: Iterable[str]) -> Iterator[tuple[str, Reply]]:
    """(call digest, reply) of each line of an output or error file; nothing for what another batch may answer."""
    for line in lines:
        result = json.loads(line)
        response = result.get("response") or {}
        body = response.get("body") or {}
        if response.get("status_code") == 200:
            try:
                yield result["custom_id"], reply_of(body)
            except ValueError as error:
                yield result["custom_id"], Reply("", "server-error", str(error), usage_of(body.get("usage")))
            continue
        error_document = body.get("error") or result.get("error") or {}
        code, message = str(error_document.get("code") or ""), str(error_document.get("message") or "")
        status = response.get("status_code") or 0
        if code in MODERATION_CODES:
            yield result["custom_id"], Reply("", "moderated", message, usage_of(body.get("usage")))
        elif not (status in (0, 408, 409, 429) or status >= 500):
            yield result["custom_id"], Reply("", "server-error", f"{status} {message}", usage_of(body.get("usage")))
