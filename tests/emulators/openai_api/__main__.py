"""Serves the emulator until it is interrupted: `python -m tests.emulators.openai_api [PORT [LATENCY]]`."""

import sys
import threading

from tests.emulators.openai_api import OpenAIEmulator

with OpenAIEmulator(port=int(sys.argv[1]) if len(sys.argv) > 1 else 0) as server:
    server.settings.latency = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
    print(server.base_url, flush=True)
    threading.Event().wait()
