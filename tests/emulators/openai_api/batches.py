"""Files and batches of the emulator: uploads, batches that end after some polls, output and error files, expiry."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.emulators.openai_api import wire
from tests.emulators.openai_api.faults import Received

if TYPE_CHECKING:
    from tests.emulators.openai_api.server import OpenAIEmulator


class BatchDesk:
    """Keeps files and batches; the requests in them are answered by the server's own rules, faults included."""

    def __init__(self, server: OpenAIEmulator) -> None:
        self.server = server
        self.reset()

    def reset(self) -> None:
        """Forgets all files and batches."""
        self.files: dict[str, tuple[dict[str, Any], bytes]] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self._polls: dict[str, int] = {}

    def routes(self) -> list[Route]:
        """The HTTP surface."""
        return [
            Route("/v1/files", self._upload, methods=["POST"]),
            Route("/v1/files/{id}", self._file, methods=["GET", "DELETE"]),
            Route("/v1/files/{id}/content", self._content),
            Route("/v1/batches", self._create_batch, methods=["POST"]),
            Route("/v1/batches", self._list_batches),
            Route("/v1/batches/{id}", self._batch),
        ]

    async def _upload(self, request: Request) -> Response:
        if refused := self.server.refused(request):
            return refused
        fields = wire.multipart(request.headers["content-type"], await request.body())
        return JSONResponse(self._store(fields["purpose"][1].decode(), *fields["file"]))

    def _store(self, purpose: str, name: str, content: bytes) -> dict[str, Any]:
        identifier = f"file-{len(self.files) + 1}"
        document = {
            "id": identifier,
            "object": "file",
            "bytes": len(content),
            "created_at": wire.CREATED,
            "filename": name,
            "purpose": purpose,
            "status": "processed",
        }
        self.files[identifier] = (document, content)
        return document

    async def _file(self, request: Request) -> Response:
        name = request.path_params["id"]
        if name not in self.files:
            return wire.error(404, "not_found", f"No such File object: {name}")
        if request.method == "DELETE":
            del self.files[name]
            return JSONResponse({"id": name, "object": "file", "deleted": True})
        return JSONResponse(self.files[name][0])

    async def _content(self, request: Request) -> Response:
        name = request.path_params["id"]
        if name not in self.files:
            return wire.error(404, "not_found", f"No such File object: {name}")
        return Response(self.files[name][1], media_type="application/octet-stream")

    async def _create_batch(self, request: Request) -> Response:
        if refused := self.server.refused(request):
            return refused
        body = await request.json()
        identifier = f"batch-{len(self.batches) + 1}"
        lines = self.files[body["input_file_id"]][1].splitlines()
        self.batches[identifier] = {
            "id": identifier,
            "object": "batch",
            "endpoint": body["endpoint"],
            "input_file_id": body["input_file_id"],
            "completion_window": body["completion_window"],
            "status": "in_progress",
            "created_at": wire.CREATED,
            "metadata": body.get("metadata"),
            "request_counts": {"total": len(lines), "completed": 0, "failed": 0},
        }
        self._polls[identifier] = 0
        return JSONResponse(self.batches[identifier])

    async def _list_batches(self, request: Request) -> Response:
        """Newest first, `limit` a page, from the one after `after` on."""
        names = list(reversed(self.batches))
        after, limit = request.query_params.get("after"), int(request.query_params.get("limit", 20))
        names = names[names.index(after) + 1 :] if after else names
        page = [self.batches[name] for name in names[:limit]]
        return JSONResponse({"object": "list", "data": page, "has_more": len(names) > limit})

    async def _batch(self, request: Request) -> Response:
        name = request.path_params["id"]
        if name not in self.batches:
            return wire.error(404, "not_found", f"No such batch: {name}")
        self._polls[name] += 1
        if self.batches[name]["status"] == "in_progress" and self._polls[name] > self.server.settings.batch_polls:
            self._finish(self.batches[name])
        return JSONResponse(self.batches[name])

    def _finish(self, batch: dict[str, Any]) -> None:
        if self.server.settings.batch_fails:
            problem = {"code": "invalid_json_line", "message": "This line is not parseable as valid JSON.", "line": 1}
            batch |= {"status": "failed", "errors": {"object": "list", "data": [problem]}}
            return
        lines = [json.loads(line) for line in self.files[batch["input_file_id"]][1].splitlines()]
        done = math.ceil(len(lines) * self.server.settings.batch_done)
        outputs: list[dict[str, Any]] = []
        errors: list[dict[str, Any]] = []
        for number, line in enumerate(lines):
            answer = {"id": f"batch_req_{number}", "custom_id": line["custom_id"], "response": None, "error": None}
            if number >= done:
                errors.append(
                    answer | {"error": {"code": "batch_expired", "message": "This request could not be executed."}}
                )
                continue
            received = Received(len(self.server.received), line["body"], batch=True)
            self.server.received.append(received)
            fault = self.server.fault(received)
            if failure := self.server.failure(line["body"], fault):
                reply = {"status_code": failure.status_code, "request_id": "r", "body": wire.json_of(failure)}
                errors.append(answer | {"response": reply})
                continue
            completion = self.server.completion(line["body"], fault, batch=True)
            outputs.append(answer | {"response": {"status_code": 200, "request_id": "r", "body": completion}})
        batch["status"] = "completed" if done == len(lines) else "expired"
        batch["request_counts"] = {"total": len(lines), "completed": len(outputs), "failed": len(errors)}
        for key, records in (("output_file_id", outputs), ("error_file_id", errors)):
            if records:
                content = "".join(json.dumps(record) + "\n" for record in records).encode()
                batch[key] = self._store("batch_output", f"{batch['id']}_{key}.jsonl", content)["id"]
