"""A person adds the record: the page shows it, and the job waits until all name servers have it.
May import: agent.dns.provider, agent.dns.spec."""

from __future__ import annotations

from typing import ClassVar

from agent.dns.provider import Provider
from agent.dns.spec import DnsProviderInfo, TxtRecord


class Manual(Provider):
    """Waits for a person as long as the command may run."""

    needs_zone = False
    can_read = False
    can_remove = False
    patience = None
    info: ClassVar = DnsProviderInfo(
        "manual",
        "By hand",
        "The job shows the record and waits until you have added it. Renewals need you each time, so use a provider "
        "where you can.",
        (),
    )

    def _add(self, _zone: str, record: TxtRecord) -> None:
        self.job.output.record(record.name, "TXT", record.value)

    def _remove(self, _zone: str, record: TxtRecord) -> None:
        self.job.output.info(f"You can remove this record now: {record}")
