"""An emulator of the Hub's API: HTTP on loopback for the real `huggingface_hub` and `datasets`, Xet off."""

from tests.emulators.hub_api.faults import Fault
from tests.emulators.hub_api.repositories import Account, Hub
from tests.emulators.hub_api.server import HubEmulator

__all__ = ["Account", "Fault", "Hub", "HubEmulator"]
