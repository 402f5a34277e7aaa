"""What the Prefect server does by itself: runs whose machine died are marked, people are told.

    python -m deployments.prefect.automations [--webhook URL]      against the server at PREFECT_API_URL

The URL may be a secret (Slack's are); it is kept in a Webhook block, encrypted by the server.
"""

from __future__ import annotations

import argparse
import os
from datetime import timedelta
from typing import Final
from uuid import UUID

from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType
from prefect.events.actions import CallWebhook, ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from pydantic import SecretStr

HEARTBEAT_SECONDS: Final = 180
"""Prefect's default `flows.heartbeat_frequency`; workers here keep it."""

WEBHOOK_VARIABLE: Final = "RAWTUNE_WEBHOOK_URL"

BLOCK: Final = "rawtune-notifications"

FLOW_RUNS: Final = "prefect.flow-run.*"

BAD_ENDINGS: Final = ("Failed", "Crashed", "Refused", "BudgetReached", "BootFailed")
"""Names of states that somebody should hear of."""

MESSAGE: Final = (
    '{"text": {{ ("rawtune: " ~ flow.name ~ " " ~ flow_run.name ~ " is " ~ flow_run.state.name ~ ": " '
    '~ (flow_run.state.message or "no message")) | tojson }} }'
)
"""Slack's shape, which Mattermost, Discord's /slack and most receivers take too."""


def zombies(heartbeat_seconds: int = HEARTBEAT_SECONDS) -> AutomationCore:
    """Marks a run as crashed that has sent nothing for three heartbeats.

    Any event of the run counts as a sign of life or as its end, so a run that is suspended for a person's approval,
    which beats no more, is left alone.
    """
    return AutomationCore(
        name="rawtune: runs whose machine died",
        description="A run that has sent no heartbeat three times over is marked Crashed; it can be run again.",
        trigger=EventTrigger(
            after={"prefect.flow-run.heartbeat"},
            expect={FLOW_RUNS},
            match={"prefect.resource.id": [FLOW_RUNS]},
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=3 * heartbeat_seconds),
        ),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, message="No heartbeat: its machine or process died.")],
    )


def notifications(block: UUID) -> AutomationCore:
    """Calls the webhook for every run of rawtune that failed, crashed, or was refused by the gate."""
    return AutomationCore(
        name="rawtune: failures and refusals",
        description="Tells people about failed, crashed and refused runs.",
        trigger=EventTrigger(
            expect={f"prefect.flow-run.{name}" for name in BAD_ENDINGS},
            match={"prefect.resource.id": [FLOW_RUNS]},
            match_related={"prefect.resource.id": ["prefect.tag.rawtune"], "prefect.resource.role": ["tag"]},
            posture=Posture.Reactive,
            threshold=1,
            within=timedelta(seconds=0),
        ),
        actions=[CallWebhook(block_document_id=block, payload=MESSAGE)],
    )


def ensure_automations(webhook: str | None = None, heartbeat_seconds: int = HEARTBEAT_SECONDS) -> list[str]:
    """Makes the automations, or brings those of the same name up to date; returns their names."""
    wanted = [zombies(heartbeat_seconds)]
    if webhook:
        saved = Webhook(method="POST", url=SecretStr(webhook)).save(BLOCK, overwrite=True)
        assert isinstance(saved, UUID)
        wanted.append(notifications(saved))
    with get_client(sync_client=True) as client:
        for automation in wanted:
            found = client.read_automations_by_name(automation.name)
            if found:
                client.update_automation(found[0].id, automation)
            else:
                client.create_automation(automation)
    return [automation.name for automation in wanted]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--webhook", default=os.environ.get(WEBHOOK_VARIABLE), help=f"else ${WEBHOOK_VARIABLE}")
    for made in ensure_automations(parser.parse_args().webhook):
        print(made)
