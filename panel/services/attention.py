"""What needs a person, worst first: pure reading. Much of one kind is told in one sentence.
May import: panel.services.{*_troubles,certificate_census,estate,troubles}."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

from panel.services import agent_troubles, certificate_troubles, host_troubles, setting_troubles
from panel.services.certificate_census import Census
from panel.services.estate import Estate
from panel.services.troubles import RANKS, Action, Kind, Tone, Trouble, count, listed, sentence

MANY = 3  # more of one kind are told together


@dataclass(frozen=True)
class Together:
    """How many of one kind are told: of what, in which sentence, and where all of them are. Those of each
    agent stand together when the address names the agent."""

    noun: str
    what: str
    label: str
    address: str

    @property
    def by_agent(self) -> bool:
        """Whether there is a sentence for each agent."""
        return "{agent}" in self.address


_CERTIFICATES = "/certificates?status="
_GROUPS = {
    Kind.AGENT_REFUSED: Together("agent", "{} are not let in", "Show agents", "/agents"),
    Kind.AGENT_GONE: Together("agent", "{} stopped reporting", "Show agents", "/agents"),
    Kind.AGENT_WAITING: Together("agent", "{} have not joined yet", "Show agents", "/agents"),
    Kind.NGINX_DOWN: Together("agent", "nginx does not run on {}", "Show agents", "/agents"),
    Kind.NGINX_PROBLEM: Together("agent", "Something is wrong with nginx on {}", "Show agents", "/agents"),
    Kind.CERTIFICATES_STUCK: Together("agent", "{} cannot look after their certificates", "Show agents", "/agents"),
    Kind.DRIFT: Together("agent", "Files of nginx on {} were changed by hand", "Show agents", "/agents"),
    Kind.APPLY_FAILED: Together(
        "agent", "The last apply on {} failed", "Show failed jobs", "/jobs?kind=apply_config&state=failed"
    ),
    Kind.UNAPPLIED: Together("agent", "Changes for {} are saved but not live", "Review changes", "/changes"),
    Kind.HOST_REFUSED: Together("host", "nginx refused {}", "Show hosts", "/hosts?status=refused&agent={agent}"),
    Kind.UPSTREAM: Together("host", "{} answer with errors", "Show hosts", "/hosts?q={query}&agent={agent}"),
    Kind.CERTIFICATE_EXPIRED: Together("certificate", "{} have expired", "Show certificates", _CERTIFICATES + "due"),
    Kind.CERTIFICATE_REVOKED: Together("certificate", "{} were revoked", "Show certificates", "/certificates"),
    Kind.CERTIFICATE_MISSING: Together(
        "certificate", "{} are missing", "Show certificates", _CERTIFICATES + "failing&agent={agent}"
    ),
    Kind.CERTIFICATE_FAILED: Together(
        "certificate", "{} could not be obtained", "Show certificates", _CERTIFICATES + "failing&agent={agent}"
    ),
    Kind.CERTIFICATE_FAILING: Together(
        "certificate", "The renewals of {} fail", "Show certificates", _CERTIFICATES + "failing&agent={agent}"
    ),
    Kind.CERTIFICATE_DUE: Together("certificate", "{} expire soon", "Show certificates", _CERTIFICATES + "due"),
    Kind.CREDENTIAL: Together("DNS credential", "{} do not work", "Show DNS credentials", "/settings/dns"),
    Kind.AUTHORITY: Together("authority", "{} cannot be asked", "Show authorities", "/settings/authorities"),
    Kind.CHANNEL: Together("channel", "News does not arrive by {}", "Show channels", "/settings/notifications"),
}


def find(estate: Estate, census: Census, parts: Mapping[str, str]) -> list[Trouble]:
    """Everything that is wrong, what is felt now first. `parts` are what the panel says of itself, as /healthz does."""
    found = [
        *setting_troubles.of_panel(parts),
        *agent_troubles.find(estate),
        *host_troubles.find(estate),
        *certificate_troubles.find(census.suspects, estate.now),
        *setting_troubles.of_settings(census.authorities, census.credentials),
    ]
    return sorted(_together(found), key=lambda one: (one.tone is not Tone.BAD, RANKS[one.kind], one.subject))


def _together(found: Iterable[Trouble]) -> list[Trouble]:
    groups: dict[tuple[Kind, Tone, str], list[Trouble]] = {}
    for one in found:
        group = _GROUPS.get(one.kind)
        agent_id = one.agent_id if group is not None and group.by_agent else ""
        groups.setdefault((one.kind, one.tone, agent_id), []).append(one)
    told: list[Trouble] = []
    for (kind, _, _), members in groups.items():
        group = _GROUPS.get(kind)
        told += [_join(group, members)] if group is not None and len(members) > MANY else members
    return told


def _join(group: Together, members: Sequence[Trouble]) -> Trouble:
    """One sentence for all of them: their number, the first names, and the cause when all have the same."""
    first = members[0]
    number = count(len(members), group.noun) if group.noun != "authority" else f"{len(members)} authorities"
    causes, queries = {one.why for one in members}, {one.query for one in members}
    query = first.query if len(queries) == 1 else ""
    moments = [one.at for one in members if one.at is not None]
    return replace(
        first,
        subject=f"{number} of {first.agent_name}" if group.by_agent else number,
        what=group.what,
        why=sentence(listed(one.subject for one in members), causes.pop() if len(causes) == 1 else ""),
        action=Action(group.label, _address(group, first.agent_id, query)),
        mend=None,
        at=min(moments) if moments else None,
        query=query,
    )


def _address(group: Together, agent_id: str, query: str) -> str:
    """The list with its filters; one that has no value is left out."""
    path, _, filters = group.address.format(agent=agent_id, query=quote(query)).partition("?")
    kept = "&".join(one for one in filters.split("&") if not one.endswith("="))
    return f"{path}?{kept}" if kept else path
