"""Documents that lie in an archive or below an `s3://` prefix, as a folder of this machine.

Both come into the store's cache. An archive is unpacked once, by its SHA-256; of a prefix only what is new or has
another ETag is read. Links, devices and names that lead out of the archive are left out; nothing in it is run.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

from tasks.base.errors import InputError
from tasks.base.files import write_text
from tasks.base.store import Store

FIELD: Final = "sources.documents.path"
ZIP: Final = ".zip"
TAR: Final = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
MAX_FILES: Final = 100_000
"""Of an archive or prefix."""
MAX_UNPACKED_BYTES: Final = 20_000_000_000
"""Of an archive; counted while it is written, whatever it claims."""
BLOCK_BYTES: Final = 1 << 20


def as_folder(address: str, max_bytes: int, store: Store) -> str:
    """The folder in the cache that holds what an archive or prefix holds; any other address as it is.

    Args:
        address: what the parameter names.
        max_bytes: of a larger object of a prefix only so much is read that it shows.
        store: whose cache it is.

    Raises:
        InputError: it is broken, encrypted, empty or too large, or cannot be reached.
    """
    if address.startswith("s3://"):
        return str(_downloaded(address, max_bytes, store))
    path = Path(address.removeprefix("file://")).expanduser()
    if path.is_file() and path.name.lower().endswith((ZIP, *TAR)):
        return str(_unpacked(path, store))
    return address


def _unpacked(path: Path, store: Store) -> Path:
    with path.open("rb") as reader:
        digest = hashlib.file_digest(reader, "sha256").hexdigest()
    home = store.local("cache", "documents")
    target = home / digest[:20]
    if target.is_dir():
        return target
    home.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=home))
    try:
        _unpack(path, scratch)
        scratch.chmod(0o755)
        try:
            scratch.rename(target)
        except OSError:
            if not target.is_dir():  # else another run was faster
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target


def _unpack(path: Path, target: Path) -> None:
    """Writes the regular files of an archive below `target`."""
    left = MAX_UNPACKED_BYTES
    number = 0
    try:
        for name, content in _zipped(path) if path.name.lower().endswith(ZIP) else _tarred(path):
            number += 1
            if number > MAX_FILES:
                raise InputError(f"{FIELD}: {path} has more than {MAX_FILES} files; name a folder with fewer")
            place = target / name
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("wb") as writer:
                while block := content.read(BLOCK_BYTES):
                    left -= len(block)
                    if left < 0:
                        raise InputError(f"{FIELD}: {path} unpacks to more than {MAX_UNPACKED_BYTES} bytes")
                    writer.write(block)
    except RuntimeError as error:  # what zipfile says of a member that needs a password
        raise InputError(f"{FIELD}: {path} is encrypted; unpack it and name the folder") from error
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, LZMAError, NotImplementedError) as error:
        raise InputError(f"{FIELD}: {path} is a broken archive ({error}); make it again") from error
    except OSError as error:  # also a file where the archive has a folder of the same name, and bad bzip2 data
        raise InputError(f"{FIELD}: {path} cannot be unpacked ({error}); unpack it and name the folder") from error
    if not number:
        raise InputError(f"{FIELD}: {path} holds no files")


def _zipped(path: Path) -> Iterator[tuple[PurePosixPath, IO[bytes]]]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            is_file = not member.is_dir() and (member.external_attr >> 28) in (0, 8)  # S_IFREG, or not from Unix
            if is_file and (name := _inside(member.filename)):
                with archive.open(member) as content:
                    yield name, content


def _tarred(path: Path) -> Iterator[tuple[PurePosixPath, IO[bytes]]]:
    with tarfile.open(path, "r|*") as archive:
        for member in archive:
            if member.isreg() and (name := _inside(member.name)) and (content := archive.extractfile(member)):
                yield name, content


def _inside(name: str) -> PurePosixPath | None:
    """A member's path below the folder; None for one that leads out of it, or into a repository's own folder."""
    path = PurePosixPath(name.replace("\\", "/"))
    parts = [part for part in path.parts if part != "."]
    if path.is_absolute() or not parts or any(part in ("..", ".git") or "\0" in part or ":" in part for part in parts):
        return None
    return PurePosixPath(*parts)


def _downloaded(address: str, max_bytes: int, store: Store) -> Path:
    """The objects of a prefix, by their keys below it."""
    import s3fs
    from botocore.exceptions import BotoCoreError, ClientError

    home = store.local("cache", "documents") / hashlib.sha256(address.encode()).hexdigest()[:20]
    files, record = home / "files", home / "etags.json"
    prefix = address.removeprefix("s3://").rstrip("/")
    try:
        bucket = s3fs.S3FileSystem(use_listings_cache=False)
        found = {
            str(path): item
            for key, item in bucket.find(prefix, detail=True).items()
            if (path := _inside(key.removeprefix(prefix).lstrip("/"))) and item["type"] == "file"
        }
        if not 0 < len(found) <= MAX_FILES:
            raise InputError(f"{FIELD}: {address} has {len(found)} objects; from 1 to {MAX_FILES} can be read")
        known = _known(record)
        etags = {name: f"{item.get('ETag')} {item['size']} {max_bytes}" for name, item in found.items()}
        for name in sorted(found):
            place = files / name
            if known.get(name) != etags[name] or not place.is_file():
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(bucket.cat_file(found[name]["name"], start=0, end=max_bytes + 1))
    except (BotoCoreError, ClientError, OSError) as error:
        raise InputError(f"{FIELD}: {address} cannot be read ({error}); check the name and AWS's settings") from error
    for place in [place for place in files.rglob("*") if place.is_file()]:
        if str(place.relative_to(files)) not in found:
            place.unlink()
    write_text(record, json.dumps(etags))
    return files


def _known(record: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(record.read_bytes())
    except (OSError, ValueError):
        return {}
    return found
