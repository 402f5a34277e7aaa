"""The HTTP server: paging, ETags, limits, faults and a log in front of REST, GraphQL and `git http-backend`."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.emulators.github_api import queries
from tests.emulators.github_api.faults import Fault, Reply, exhausted, reply
from tests.emulators.github_api.hub import Hub, Repository
from tests.emulators.github_api.objects import git_bytes
from tests.emulators.github_api.rest import Missing, resource


@dataclass(frozen=True)
class Asked:
    """One request, as it arrived."""

    verb: str
    path: str
    query: str
    status: int
    authorized: bool = False
    """Whether it bore a token."""

    @property
    def is_git(self) -> bool:
        """Whether git asked, not the API's client."""
        return ".git/" in self.path


@dataclass
class Github:
    """A running emulator."""

    hub: Hub
    url: str
    faults: list[Fault] = field(default_factory=list)
    requests: list[Asked] = field(default_factory=list)

    @property
    def api_requests(self) -> list[Asked]:
        """Requests to REST and GraphQL."""
        return [asked for asked in self.requests if not asked.is_git]


@contextmanager
def serve(*repositories: Repository, token: str | None = None, speaks: type[Handler] | None = None) -> Iterator[Github]:
    """Runs the emulator on a free port of loopback for the duration of the block; GitHub's unless another speaks."""
    server = _Server(("127.0.0.1", 0), speaks or Handler)
    github = server.github = Github(Hub(list(repositories), token), f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield github
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    github: Github

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing is wrong with a client that hangs up; everything else is shown."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """GitHub's; forges with another interface override `answered` and `page_of`."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @property
    def github(self) -> Github:
        assert isinstance(self.server, _Server)
        return self.server.github

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on stderr: the log is `Github.requests`."""

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def _handle(self) -> None:
        body = self._body()
        address = urlsplit(self.path)
        path = address.path.removeprefix("/api/v3")
        fault = next((item for item in self.github.faults if item.strikes(path)), None)
        if fault is not None:
            fault.times -= 1
            if fault.times <= 0:
                self.github.faults.remove(fault)
            if self._suffer(fault, path, body):
                return
        if ".git/" in path:
            self._git(path, address.query, body)
            return
        if path.startswith("/_codeload/") or "/tarball/" in path:
            self._tarball(path)
            return
        self._answer(*self.answered(path, address.query, body))

    def _tarball(self, path: str, cut: int = 0) -> None:
        """First the API's redirect, to what this client must take for another host; then the file."""
        _, first, owner, name, _, sha = path.split("/")
        if first == "repos":
            refused = self.access(self.github.hub)
            place = f"{self.github.url.replace('127.0.0.1', 'localhost')}/_codeload/{owner}/{name}/tar/{sha}"
            self._answer(*(refused or (302, {"Location": place}, None)))
            return
        repository = self.github.hub.repository(f"{owner}/{name}")
        assert repository is not None
        content = git_bytes(repository.folder, "archive", "--format=tar.gz", f"--prefix={owner}-{name}/", sha)
        self._send(200, {"Content-Type": "application/x-gzip"}, content[: len(content) - cut])

    def _suffer(self, fault: Fault, path: str, body: bytes) -> bool:
        """Lets a fault strike; False if the real answer follows after all."""
        made = reply(fault)
        if made is not None:
            self._answer(*made)
        elif fault.kind == "reset":
            self._log(0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
        elif fault.kind == "timeout":
            time.sleep(fault.wait)
            return False
        elif fault.kind == "truncated" and ".git/" in path:
            self._git(path, urlsplit(self.path).query, body, cut=20)
        elif fault.kind == "truncated" and path.startswith("/_codeload/"):
            self._tarball(path, cut=200)
        elif fault.kind == "truncated":
            status, headers, data = self.answered(path, urlsplit(self.path).query, body)
            self._send(status, headers, json.dumps(data).encode()[:-20])
        else:  # graphql-partial: the last part of the answer is missing
            status, headers, data = self.answered(path, "", body)
            parts = data["data"].get("repository") or data["data"]
            last = list(parts)[-1]
            parts[last] = None
            error = {"message": "Something went wrong while executing your query.", "path": ["repository", last]}
            self._answer(status, headers, data | {"errors": [error]})
        return True

    def answered(self, path: str, query: str, body: bytes) -> Reply:
        """Status, headers and body of what the API says."""
        hub = self.github.hub
        refused = self.access(hub)
        if refused is not None:
            return refused
        if hub.used >= hub.hourly_limit and time.time() < hub.resets_at:
            return 403, exhausted(hub.resets_at - time.time()), {"message": "API rate limit exceeded for user ID 1."}
        hub.used += 1
        limits = {
            "X-RateLimit-Limit": str(hub.hourly_limit),
            "X-RateLimit-Remaining": str(max(hub.hourly_limit - hub.used, 0)),
            "X-RateLimit-Reset": str(int(hub.resets_at or time.time() + 3600)),
        }
        if path in ("/graphql", "/api/graphql"):
            if not hub.graphql:
                return 404, limits, {"message": "Not Found"}
            if self._token() is None:
                return 401, limits, {"message": "This endpoint requires you to be authenticated."}
            return 200, limits, queries.answer(hub, self.github.url, json.loads(body))
        parameters = dict(parse_qsl(query))
        try:
            data = resource(hub, self.github.url, path, parameters)
        except Missing as missing:
            return missing.status, limits, {"message": "Not Found"}
        if isinstance(data, list):
            data, link = self.page_of(data, path, parameters)
            limits |= link
        etag = f'W/"{hashlib.sha256(json.dumps(data).encode()).hexdigest()}"'
        if self.headers.get("If-None-Match") == etag:
            hub.used -= 1
            return 304, limits | {"ETag": etag}, None
        return 200, limits | {"ETag": etag}, data

    def page_of(self, data: list[Any], path: str, query: dict[str, str]) -> tuple[list[Any], dict[str, str]]:
        """One page of a list, and the headers that lead on."""
        size, page = min(int(query.get("per_page", 30)), 100), int(query.get("page", 1))
        last = max(-(-len(data) // size), 1)
        parts = path.split("/")
        repository = self.github.hub.repository("/".join(parts[2:4]))
        if repository is not None and parts[1] == "repos":  # GitHub's links name repositories by number
            path = "/".join(["", "repositories", str(repository.id), *parts[4:]])
        links = {"next": page + 1, "last": last} if page < last else {}
        text = ", ".join(
            f'<{self.github.url}{path}?{urlencode(query | {"page": number})}>; rel="{name}"'
            for name, number in links.items()
        )
        return data[(page - 1) * size : page * size], {"Link": text} if text else {}

    def access(self, hub: Hub) -> Reply | None:
        """The refusal, if the token does not do."""
        token = self._token()
        if hub.token is not None and token is not None and token != hub.token:
            return 401, {}, {"message": "Bad credentials"}
        if hub.token is not None and token is None and any(item.private for item in hub.repositories):
            return 404, {}, {"message": "Not Found"}
        return None

    def _token(self) -> str | None:
        kind, _, value = self.headers.get("Authorization", "").partition(" ")
        if kind == "Basic":
            return base64.b64decode(value).decode().partition(":")[2]
        return value or None

    def _git(self, path: str, query: str, body: bytes, cut: int = 0) -> None:
        name, _, rest = path.strip("/").partition(".git/")
        wiki = name.endswith(".wiki")
        hub = self.github.hub
        repository = hub.repository(name.removesuffix(".wiki"))
        folder = repository and (repository.wiki if wiki else repository.folder)
        if self.access(hub) is not None and self._token() is None:
            self._send(401, {"WWW-Authenticate": 'Basic realm="GitHub"'}, b"")
            return
        if folder is None or not hub.git or self.access(hub) is not None:
            self._send(404 if hub.git else 403, {}, b"")
            return
        environment = os.environ | {
            "GIT_PROJECT_ROOT": str(folder.parent),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": f"/{folder.name}/{rest}",
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "GIT_CONFIG_KEY_1": "uploadpack.allowFilter",
            "GIT_CONFIG_VALUE_1": "true",
        }
        done = subprocess.run(["git", "http-backend"], input=body, capture_output=True, env=environment, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        status = int(headers.pop("Status", "200").split()[0])
        self._send(status, headers, content[: len(content) - cut])

    def _answer(self, status: int, headers: dict[str, str], data: Any) -> None:
        text = b"" if data is None else (data if isinstance(data, str) else json.dumps(data)).encode()
        self._send(status, {"Content-Type": "application/json; charset=utf-8"} | headers, text)

    def _send(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self._log(status)
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() != "content-length":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _log(self, status: int) -> None:
        address = urlsplit(self.path)
        self.github.requests.append(
            Asked(self.command, address.path, address.query, status, "Authorization" in self.headers)
        )

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)
