"""Have Prefect tell you when a run ends without having reached its target: an automation, as an example.

    .venv/bin/python deployments/notify_missed_targets.py https://hooks.example.org/...

The address gets a POST with the JSON object {"text": "..."}, which is what Slack, Mattermost and many others take. The
server is the one in PREFECT_API_URL; its triggers must be on, as with `shoal serve` and `prefect server start`. Called
again, it changes the address. The automation is on the page Automations, where it is switched off or deleted.
"""

from __future__ import annotations

import sys
from datetime import timedelta

from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import get_client
from prefect.events.actions import SendNotification
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

BLOCK = "shoal-missed-targets"
NAME = "shoal: a run has missed its target"
BODY = """\
{{ event.resource.name }} ({{ event.resource['shoal.problem'] }}) has ended as {{ event.resource['shoal.status'] }} \
after {{ event.payload.evaluations }} evaluations, best loss {{ event.payload.best_loss }}: \
{{ event.payload.reason }}"""


def main(address: str) -> None:
    """Make the automation, or change it."""
    block = CustomWebhookNotificationBlock(name=NAME, url=address, json_data={"text": "{{body}}"})
    block_id = block.save(BLOCK, overwrite=True)
    automation = AutomationCore(
        name=NAME,
        description="Made by deployments/notify_missed_targets.py.",
        trigger=EventTrigger(
            expect={"shoal.run.ended"},
            match={"prefect.resource.id": "shoal.run.*", "shoal.target": "missed"},
            posture=Posture.Reactive,
            threshold=1,
            within=timedelta(0),
        ),
        actions=[SendNotification(block_document_id=block_id, subject=NAME, body=BODY)],
    )
    with get_client(sync_client=True) as client:
        if known := client.read_automations_by_name(NAME):
            client.update_automation(known[0].id, automation)
        else:
            client.create_automation(automation)
    print(f"When a run misses its target, Prefect tells {address}")  # noqa: T201


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} ADDRESS")
    main(sys.argv[1])
