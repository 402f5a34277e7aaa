"""Serves the emulator until it is interrupted: `python -m tests.emulators.openai_api [PORT]`."""

import sys
import threading

from tests.emulators.openai_api import OpenAIEmulator

with OpenAIEmulator(port=int(sys.argv[1]) if len(sys.argv) > 1 else 0) as server:
    print(server.base_url, flush=True)
    threading.Event().wait()
