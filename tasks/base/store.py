"""The artifact store: content-addressed blobs and the manifests that say what made them.

    cas/<sha256>/…             content files of an artifact; the hash covers the sorted (relative path, sha256) pairs
    steps/<room>/<name>/<key>/manifest.json
                               what made it; written last, so its existence is the commit point
    cache/                     mirrors, tokenised blobs, responses, checkpoints: never authoritative, safe to delete
    ledger/                    dollars, seconds, loss logs of each run: never part of a key
    locks/  tmp/  suspect/     running steps, unfinished writes, blobs whose bytes were wrong

One class serves a local path, `memory://` (one process only) and `s3://` through universal-pathlib. Moves are not
atomic on object stores, which is why a reader believes only a manifest whose blob is whole. Nothing is read unchecked:
a local blob is hashed before its step counts as done, a remote one is read only as a copy on this machine whose files,
paths and hashes are those of its manifest.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from upath import UPath

from tasks.base.artifacts import Artifact, Manifest, describe, tree_sha256
from tasks.base.errors import InputError, StoreError
from tasks.base.files import write_text
from tasks.base.progress import notice

CHUNK_BYTES = 1 << 20
"""Files are copied in pieces of this size, so memory does not grow with an artifact."""

_checked: set[Path] = set()
"""Copies of remote artifacts that this process has hashed."""


class Store:
    """An artifact store at a local path or a URL. Picklable; holds no open connection of its own."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.root = UPath(uri)
        if self.is_local:
            self.root = UPath(Path(self.root.path).expanduser().absolute())
        else:
            # s3fs remembers listings for good, and would not see what another machine has written meanwhile
            self.root = UPath(uri, use_listings_cache=False)

    @property
    def is_local(self) -> bool:
        """Whether the store is a folder of this machine."""
        return self.root.protocol in ("", "file", "local")

    def local(self, *parts: str) -> Path:
        """A folder on this machine for caches, locks and unfinished writes, made if missing.

        For a remote store it lies in the user's cache folder.
        """
        base = Path(self.root.path) if self.is_local else _machine_cache(self.uri)
        folder = base.joinpath(*parts)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def check_writable(self) -> None:
        """Writes and removes one small object.

        Raises:
            InputError: the store cannot be written.
        """
        probe = self.root / "tmp" / f"probe-{uuid.uuid4().hex}"
        try:
            probe.parent.mkdir(parents=True, exist_ok=True)
            probe.write_bytes(b"rawtune")
            probe.unlink()
        except Exception as error:  # every filesystem has its own error types; all of them mean the same to the user
            raise InputError(
                f"store: {self.uri} cannot be written ({_first_line(error)}); choose another with --store or `store:`"
            ) from error

    def manifest(self, step: str, key: str) -> Manifest | None:
        """The manifest of a step's key; None if there is none, or if it is not of this step and key."""
        try:
            found = Manifest.model_validate_json(
                (self.root / "steps" / step / key / "manifest.json").read_text("utf-8")
            )
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None
        return found if (found.step, found.key, found.sha256) == (step, key, tree_sha256(found.files)) else None

    def manifests(self, step: str) -> Iterator[Manifest]:
        """Every readable manifest of a step, the most recently written first."""
        folder = self.root / "steps" / step
        if not folder.exists():
            return
        dated = sorted(((_written(entry / "manifest.json"), entry.name) for entry in folder.iterdir()), reverse=True)
        for _, key in dated:
            manifest = self.manifest(step, key)
            if manifest is not None:
                yield manifest

    def steps(self) -> list[str]:
        """Names (`room/name`) of the steps that have manifests here, sorted."""
        rooms = self.root / "steps"
        if not rooms.exists():
            return []
        return sorted(
            f"{room.name}/{name.name}" for room in rooms.iterdir() if room.is_dir() for name in room.iterdir()
        )

    def artifact(self, manifest: Manifest) -> Artifact:
        """The reference to a manifest's content in this store."""
        return Artifact(
            step=manifest.step,
            version=manifest.version,
            uri=str(self.blob(manifest.sha256)),
            sha256=manifest.sha256,
            counts=manifest.counts,
        )

    def blob(self, sha256: str) -> UPath:
        """Folder of an artifact's content files."""
        return self.root / "cas" / sha256

    def is_whole(self, manifest: Manifest) -> bool:
        """Whether the blob is exactly what the manifest names.

        A local blob is hashed. Of a remote one presence and sizes are compared; its bytes are hashed when they are read
        (see `checkout`).
        """
        folder = self.blob(manifest.sha256)
        try:
            if self.is_local:
                return describe(Path(folder.path)) == manifest.files
            return all((folder / file.path).stat().st_size == file.bytes for file in manifest.files)
        except OSError:
            return False

    def commit(self, folder: Path, manifest: Manifest) -> Artifact:
        """Moves a folder of finished files into place and writes its manifest last.

        A wrong blob under the same hash is moved aside.
        """
        target = self.blob(manifest.sha256)
        if target.exists():
            if self.is_whole(manifest):
                shutil.rmtree(folder)
            else:
                self.set_aside(manifest.sha256)
        if folder.exists():
            self._place(folder, target)
        self._write_manifest(manifest)
        return self.artifact(manifest)

    def set_aside(self, sha256: str) -> None:
        """Moves a blob with wrong bytes to `suspect/` for a person to look at; its step is then redone."""
        source = self.blob(sha256)
        if not source.exists():
            return
        target = self.root / "suspect" / f"{sha256}-{uuid.uuid4().hex[:8]}"
        target.parent.mkdir(parents=True, exist_ok=True)
        if self.is_local:
            Path(source.path).replace(target.path)
            return
        source.fs.mv(source.path, target.path, recursive=True)

    def open(self, artifact: Artifact, name: str) -> BinaryIO:
        """A content file, opened for reading bytes.

        Raises:
            StoreError: the file is missing, or the store is remote and has other bytes than the artifact.
        """
        try:
            return (self.checkout(artifact) / name).open("rb")
        except OSError as error:
            raise StoreError(
                f"{artifact.step}: {name} of artifact {artifact.sha256[:12]} is missing from {self.uri}"
            ) from error

    def checkout(self, artifact: Artifact) -> Path:
        """The artifact's content as a local folder, to be read only.

        It is the blob itself in a local store, which was hashed when its step was found. A remote one is copied into
        this machine's cache, file by file as its manifest names them; a copy is hashed once by every process.

        Raises:
            StoreError: the bytes do not have the artifact's hash. They are set aside, so that their step is redone.
        """
        if self.is_local:
            return Path(self.blob(artifact.sha256).path)
        target = self.local("cache", "checkout") / artifact.sha256
        if target in _checked:
            return target
        if target.exists() and tree_sha256(describe(target)) != artifact.sha256:
            shutil.rmtree(target)
        if not target.exists():
            notice(f"fetches {artifact.step} from {self.uri}")
            self._copy(artifact, target)
        _checked.add(target)
        return target

    @contextmanager
    def scratch(self, name: str) -> Iterator[Path]:
        """An empty local folder for an unfinished artifact, removed at exit if it is still there.

        When the store is local the folder lies on the same file system, so that moving it into place is atomic. What
        a killed process left under the same name is removed first: the caller holds the lock of that name.
        """
        folder = self.local("tmp") / name.replace("/", "--")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _copy(self, artifact: Artifact, target: Path) -> None:
        wrong = StoreError(
            f"{artifact.step}: artifact {artifact.sha256[:12]} in {self.uri} is missing or has wrong bytes; run again "
            "to redo its step"
        )
        made_by = (one for one in self.manifests(artifact.step) if one.sha256 == artifact.sha256)
        manifest = next(made_by, None)
        if manifest is None:
            raise wrong
        partial = target.with_name(f"{target.name}.{uuid.uuid4().hex[:8]}")
        source = self.blob(artifact.sha256)
        try:
            for file in manifest.files:
                destination = partial / file.path
                destination.parent.mkdir(parents=True, exist_ok=True)
                with (source / file.path).open("rb") as reader, destination.open("wb") as writer:
                    shutil.copyfileobj(reader, writer, CHUNK_BYTES)
            if describe(partial) != manifest.files:
                self.set_aside(artifact.sha256)
                raise wrong
            if not target.exists():  # else another process was faster, and its copy is as good
                partial.replace(target)
        except FileNotFoundError:
            raise wrong from None
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _place(self, folder: Path, target: UPath) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        if self.is_local:
            folder.replace(target.path)
            return
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            destination = target / file.relative_to(folder).as_posix()
            destination.parent.mkdir(parents=True, exist_ok=True)
            with file.open("rb") as reader, destination.open("wb") as writer:
                shutil.copyfileobj(reader, writer, CHUNK_BYTES)

    def _write_manifest(self, manifest: Manifest) -> None:
        target = self.root / "steps" / manifest.step / manifest.key / "manifest.json"
        write_text(target, manifest.model_dump_json(indent=2) + "\n")


def _written(path: UPath) -> float:
    try:
        return float(path.stat().st_mtime)
    except (OSError, TypeError, ValueError, AttributeError):
        return 0.0


def _machine_cache(uri: str) -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "rawtune" / hashlib.sha256(uri.encode()).hexdigest()[:16]


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
