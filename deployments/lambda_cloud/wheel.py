"""rawtune's own wheel: built here, kept in the store by its hash, read by machines through a short-lived URL.

python -m deployments.lambda_cloud.wheel s3://bucket/prefix       prints the address for a pool's `wheel` variable
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from upath import UPath

from tasks.base.artifacts import file_sha256
from tasks.base.errors import InputError
from tasks.base.store import Store

CHECKOUT: Final = Path(__file__).resolve().parents[2]
"""The repository, where rawtune runs from one."""

URL_SECONDS: Final = 3600
"""A machine downloads within its boot deadline; nobody else needs the URL for longer."""


@dataclass(frozen=True)
class Wheel:
    """A wheel that can be downloaded."""

    name: str
    sha256: str
    url: str


def publish_wheel(store: Store, wheel: Path) -> str:
    """Copies a wheel to `wheels/<sha256>/<name>` of the store, unless it is there, and returns its address."""
    target = store.root / "wheels" / file_sha256(wheel) / wheel.name
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with wheel.open("rb") as reader, target.open("wb") as writer:
            shutil.copyfileobj(reader, writer)
    return str(target)


def build_wheel(source: Path, folder: Path) -> Path:
    """Builds the wheel of a checkout."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(source)]
    subprocess.run(command, check=True, stdout=sys.stderr)
    (wheel,) = folder.glob("rawtune-*.whl")
    return wheel


def signed(address: str, seconds: int = URL_SECONDS) -> Wheel:
    """The wheel at an address in a store, with a URL that works for that long.

    Raises:
        InputError: the address is not one that `publish_wheel` gave, or the store cannot sign URLs.
    """
    path = UPath(address)
    if path.parent.parent.name != "wheels":
        raise InputError(f"wheel: {address} is not …/wheels/<sha256>/<name>.whl; make it with lambda_cloud.wheel")
    return Wheel(path.name, path.parent.name, presigned(path, seconds))


def presigned(path: UPath, seconds: int = URL_SECONDS) -> str:
    """A URL of an object that needs no credentials for that long.

    Raises:
        InputError: the store cannot sign URLs.
    """
    try:
        return str(path.fs.sign(path.path, expiration=seconds))
    except NotImplementedError:  # fsspec's word for a file system that has no signed URLs
        raise InputError(f"wheel: {path} cannot be read by other machines; keep it in an s3:// store") from None


def constraints_text() -> str:
    """The pins that came with this rawtune.

    Raises:
        InputError: they are not there.
    """
    for path in (CHECKOUT / "constraints.txt", Path(sys.prefix) / "share/rawtune/constraints.txt"):
        if path.is_file():
            return path.read_text("utf-8")
    raise InputError("constraints.txt is not beside rawtune; install rawtune from a checkout or from its own wheel")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        made = build_wheel(CHECKOUT, Path(scratch))
        sys.stdout.write(publish_wheel(Store(sys.argv[1]), made) + "\n")
