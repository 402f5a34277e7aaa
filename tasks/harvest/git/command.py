"""Every call of git that rawtune makes.

Repositories, addresses and references come from strangers, so a call is built in one place and by one rule. Options are
constants of this program, revisions are object ids, and every address or path stands behind `--` or is absolute behind
`--git-dir=`; nothing of them can be read as an option. Without `network`, git sees no configuration of this machine or
its user and has no transport: a partial clone whose configuration names a command as its `uploadpack` cannot have it
run. With `network` it may speak to the protocols of `PROTOCOLS` and no other.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from tasks.base.errors import InputError, SourceError

PROTOCOLS: Final = "file:git:http:https:ssh"
"""What git may fetch by; `ext::` and other remote helpers run commands."""

PIPE_BYTES: Final = 1 << 20
"""Room between git and this process: with the usual 64 KiB both wait for each other most of the time."""

_OBJECT_ID: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_OF_PATHS: Final = frozenset({"diff-tree", "log", "rev-list", "show"})
"""Verbs that would take a revision for the name of a file without `--` after it."""
_MACHINE: Final = ("PATH", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_USER: Final = (
    *("HOME", "USER", "LOGNAME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "KRB5CCNAME"),
    *("SSH_AUTH_SOCK", "SSH_AGENT_PID", "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
)
"""What the user's own configuration for the network may rest on: credential helpers, agents, proxies, certificates."""
_OF_NETWORK: Final = ("GIT_CONFIG_", "GIT_SSH", "GIT_SSL_", "GIT_PROXY_", "GIT_ASKPASS")


def git(
    verb: str,
    *options: str,
    at: Path | None = None,
    inside: Path | None = None,
    revisions: Sequence[str] = (),
    operands: Sequence[str] = (),
    settings: Sequence[str] = (),
    stdin: bytes | None = None,
    environment: Mapping[str, str] | None = None,
    network: bool = False,
) -> bytes:
    """Output of a git command.

    Args:
        verb: what git is to do.
        options: constants, never anything that was read.
        at: git directory.
        inside: folder in which git looks for one.
        revisions: object ids.
        operands: addresses and paths, which go behind `--`.
        settings: `name=value`, constants.
        stdin: what git reads.
        environment: variables added to those that git gets.
        network: whether git may fetch, with the user's configuration.

    Raises:
        InputError: git is not installed.
        SourceError: git failed; the message is what git called fatal. Or a revision is no object id.
    """
    try:
        done = subprocess.run(
            _command(verb, options, at, inside, revisions, operands, settings),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            env=git_environment(network) | dict(environment or {}),
            check=False,
        )
    except FileNotFoundError as error:
        raise InputError("git is not installed or not on PATH; install git 2.30 or newer") from error
    if done.returncode:
        raise SourceError(f"git {verb}: {_complaint(done.stderr)}")
    return done.stdout


@contextmanager
def git_stream(
    verb: str,
    *options: str,
    at: Path,
    revisions: Sequence[str] = (),
    operands: Sequence[str] = (),
    settings: Sequence[str] = (),
    stdin: IO[bytes] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """A git command whose output is read while it runs; it is ended when the reader has enough.

    Arguments as for `git`; its errors show in the return code alone.
    """
    with subprocess.Popen(
        _command(verb, options, at, None, revisions, operands, settings),
        stdin=subprocess.DEVNULL if stdin is None else stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=git_environment(),
        bufsize=PIPE_BYTES,
        pipesize=PIPE_BYTES,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None and process.stdout is not None and process.stdout.read(1):
                process.kill()


def git_environment(network: bool = False) -> dict[str, str]:
    """The variables that git gets: none that it has no use for, and nothing that could prompt.

    Args:
        network: with what the user's configuration needs to reach a server.
    """
    names = (*_MACHINE, *_USER) if network else _MACHINE
    kept = {name: os.environ[name] for name in names if name in os.environ}
    if network:
        kept |= {name: value for name, value in os.environ.items() if name.startswith(_OF_NETWORK)}
        kept["GIT_ALLOW_PROTOCOL"] = PROTOCOLS
    else:
        kept |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_ATTR_NOSYSTEM": "1"}
        kept |= {"GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1"}
    return kept | {
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "LC_ALL": "C",
    }


def is_object_id(text: str) -> bool:
    """Whether a text is the whole hexadecimal id of an object, by SHA-1 or SHA-256."""
    return _OBJECT_ID.fullmatch(text) is not None


def _command(
    verb: str,
    options: Sequence[str],
    at: Path | None,
    inside: Path | None,
    revisions: Sequence[str],
    operands: Sequence[str],
    settings: Sequence[str],
) -> list[str]:
    for revision in revisions:
        if not is_object_id(revision):
            raise SourceError(f"git {verb}: {revision!r} is not the id of an object")
    # `safe.directory` is honoured from the command line only; a repository of another user is read all the same.
    before = ["-c", "safe.directory=*", "-c", "core.quotePath=true"]
    for setting in settings:
        before += ["-c", setting]
    if inside is not None:
        before += ["-C", str(inside.absolute())]
    if at is not None:
        before.append(f"--git-dir={at.absolute()}")
    paths = ["--", *operands] if operands or (revisions and verb in _OF_PATHS) else []
    return ["git", *before, verb, *options, *revisions, *paths]


def _complaint(stderr: bytes) -> str:
    lines = stderr.decode("utf-8", "replace").strip().splitlines() or ["no message"]
    return next((line.removeprefix("fatal: ") for line in lines if line.startswith("fatal: ")), lines[-1])
