"""An OpenAI-compatible server on loopback for tests: chat completions, JSON schema, streaming, files, batches, faults.

    with OpenAIEmulator() as server:
        client = openai.OpenAI(base_url=server.base_url, api_key="any")
        server.faults.append(Fault("rate-limit", retry_after=0.1))
        …
        server.received, server.billed

It answers out of the document in the prompt (see `replies.py`), so that what real curation accepts can be tested
without a model.
`python -m tests.emulators.openai_api` serves by hand.
"""

from tests.emulators.openai_api.faults import Fault
from tests.emulators.openai_api.server import Billed, OpenAIEmulator, Received

__all__ = ["Billed", "Fault", "OpenAIEmulator", "Received"]
