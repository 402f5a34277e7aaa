"""What an artifact is: a reference, a manifest, and hashes of the content files that name both."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict

TOLD_COUNTS: Final = 3


class Artifact(BaseModel):
    """Reference to a finished artifact: small, frozen, all that steps pass and Prefect stores."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: str
    version: str
    uri: str
    """Where the content lies in this store; another store has the same content under another uri."""
    sha256: str
    counts: dict[str, int]

    def told(self) -> str:
        """What was made, in a few words: records first, then other whole counts, then all verdicts."""
        whole = {name: number for name, number in self.counts.items() if ":" not in name and number}
        ordered = sorted(whole, key=lambda name: name != "records")[:TOLD_COUNTS]
        dropped = sum(number for name, number in self.counts.items() if name.startswith("verdict:"))
        parts = [f"{whole[name]:,} {name.replace('_', ' ')}" for name in ordered]
        return ", ".join([*parts, *([f"{dropped:,} verdicts"] if dropped else [])])


def _within(path: str) -> str:
    """A content file's path, which must stay within its artifact wherever it is written.

    Raises:
        ValueError: it does not.
    """
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\\" in path or "\0" in path:
        raise ValueError(f"{path!r} leads out of the artifact")
    return path


class BlobFile(BaseModel):
    """One content file of an artifact."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Annotated[str, AfterValidator(_within)]
    """Relative, with slashes."""
    sha256: str
    bytes: int


class Manifest(BaseModel):
    """What made an artifact. Holds no wall-clock, so that equal work gives equal manifests; times are in the ledger."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: str
    version: str
    key: str
    key_document: dict[str, Any]
    """The JSON document whose hash is the key: step, version, parameters that bear identity, input hashes."""
    parameters: dict[str, Any]
    inputs: dict[str, Any]
    counts: dict[str, int]
    resolved: dict[str, Any]
    """What the machine made of the request: backend, micro-batch, recompute and the like."""
    versions: dict[str, str]
    sha256: str
    files: tuple[BlobFile, ...]


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file's bytes, read in pieces."""
    with path.open("rb") as reader:
        return hashlib.file_digest(reader, "sha256").hexdigest()


def describe(folder: Path) -> tuple[BlobFile, ...]:
    """Every file below a folder with size and hash, sorted by relative POSIX path."""
    paths = sorted((path.relative_to(folder).as_posix(), path) for path in folder.rglob("*") if path.is_file())
    return tuple(BlobFile(path=name, sha256=file_sha256(path), bytes=path.stat().st_size) for name, path in paths)


def tree_sha256(files: tuple[BlobFile, ...]) -> str:
    """Hash of an artifact, over the sorted (relative path, sha256) pairs of its content files.

    Equal bytes are equal whatever made them.
    """
    return hashlib.sha256(
        json.dumps([[file.path, file.sha256] for file in files], separators=(",", ":")).encode()
    ).hexdigest()
