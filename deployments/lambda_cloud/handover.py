"""What a rented machine must know and a launch request must not bear: the Prefect server's password, the store's keys.

User data is shown by the provider's console and API, and by the machine to whatever runs on it, for as long as the
machine lives. So it bears an address in the store that works for a while, the hash of what lies there, and a key that
opens that one object and nothing else. The worker removes the object once the run has started; afterwards what the
user data says leads nowhere.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from upath import UPath

from deployments.lambda_cloud.wheel import URL_SECONDS, presigned

NO_NONCE: Final = bytes(16)
"""Every key encrypts one text only."""


@dataclass(frozen=True)
class Handover:
    """An encrypted text in the store and how to open it."""

    path: UPath
    url: str = field(repr=False)
    sha256: str
    key: str = field(repr=False)
    """Of AES-256 in counter mode, in hexadecimal, as `openssl enc -d -aes-256-ctr -K` takes it."""

    def withdraw(self) -> None:
        """Removes the text; one that is gone already is no error."""
        self.path.unlink(missing_ok=True)


def hand_over(wheel: str, launch: str, text: str) -> Handover:
    """Puts a text where the machine of a launch can read it.

    Texts that no worker came to withdraw (it was killed, and the machine was adopted by another) go with the first
    call after their addresses have stopped to work.

    Args:
        wheel: address of the wheel in the store; the text lies in the same store.
        launch: names the object.
        text: is never written in the clear.

    Raises:
        InputError: the store cannot sign URLs.
    """
    folder = UPath(wheel).parent.parent.parent / "handover"
    path = folder / f"{time.time():.0f}-{launch}"
    url = presigned(path)
    for left in folder.iterdir() if folder.exists() else ():
        stamp, _, _ = left.name.partition("-")
        if stamp.isdigit() and int(stamp) < time.time() - 2 * URL_SECONDS:
            left.unlink(missing_ok=True)
    key = secrets.token_bytes(32)
    encryptor = Cipher(AES(key), CTR(NO_NONCE)).encryptor()
    content = encryptor.update(text.encode()) + encryptor.finalize()
    path.write_bytes(content)
    return Handover(path, url, hashlib.sha256(content).hexdigest(), key.hex())
