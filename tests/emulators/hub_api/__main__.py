"""`python -m tests.emulators.hub_api`: a Hub to try a release against; prints the variables that lead to it."""

import threading

from tests.emulators.hub_api import Account, HubEmulator

with HubEmulator({"write": Account("octocat"), "read": Account("octocat", role="read")}) as running:
    print(f"export HF_ENDPOINT={running.url} HF_TOKEN=write HF_HUB_DISABLE_XET=1   # HF_TOKEN=read may not write")
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        for (kind, name), repository in running.hub.repositories.items():
            print(kind, name, sorted(repository.branches))
