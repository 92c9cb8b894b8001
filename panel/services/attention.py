"""What needs a person, worst first: pure reading. Much of one kind is told in one sentence.
May import: panel.services.{*_troubles,certificate_census,estate,troubles}."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

from panel.i18n import gettext, lazy_gettext, plural
from panel.services import agent_troubles, certificate_troubles, host_troubles, setting_troubles
from panel.services.certificate_census import Census
from panel.services.estate import Estate
from panel.services.troubles import NAMES_SHOWN, RANKS, Action, Kind, Sketch, Tone, Trouble, listed, sentence

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


# The word on the button, and the list that it leads to.
_AGENTS = (lazy_gettext("Show agents"), "/agents")
_CERTIFICATES = (lazy_gettext("Show certificates"), "/certificates")
_DUE = (lazy_gettext("Show certificates"), "/certificates?status=due")
_FAILING = (lazy_gettext("Show certificates"), "/certificates?status=failing&agent={agent}")
_REFUSED = (lazy_gettext("Show hosts"), "/hosts?status=refused&agent={agent}")
_ALIKE = (lazy_gettext("Show hosts"), "/hosts?q={query}&agent={agent}")
_FAILED_JOBS = (lazy_gettext("Show failed jobs"), "/jobs?kind=apply_config&state=failed")
_CHANGES = (lazy_gettext("Review changes"), "/changes")
_CREDENTIALS = (lazy_gettext("Show DNS credentials"), "/settings/dns")
_AUTHORITIES = (lazy_gettext("Show authorities"), "/settings/authorities")
_CHANNELS = (lazy_gettext("Show channels"), "/settings/notifications")

_GROUPS = {
    Kind.AGENT_REFUSED: Together("agent", lazy_gettext("{} are not let in"), *_AGENTS),
    Kind.AGENT_GONE: Together("agent", lazy_gettext("{} stopped reporting"), *_AGENTS),
    Kind.AGENT_WAITING: Together("agent", lazy_gettext("{} have not joined yet"), *_AGENTS),
    Kind.NGINX_DOWN: Together("agent", lazy_gettext("nginx does not run on {}"), *_AGENTS),
    Kind.NGINX_PROBLEM: Together("agent", lazy_gettext("Something is wrong with nginx on {}"), *_AGENTS),
    Kind.CERTIFICATES_STUCK: Together("agent", lazy_gettext("{} cannot look after their certificates"), *_AGENTS),
    Kind.DRIFT: Together("agent", lazy_gettext("Files of nginx on {} were changed by hand"), *_AGENTS),
    Kind.APPLY_FAILED: Together("agent", lazy_gettext("The last apply on {} failed"), *_FAILED_JOBS),
    Kind.UNAPPLIED: Together("agent", lazy_gettext("Changes for {} are saved but not live"), *_CHANGES),
    Kind.HOST_REFUSED: Together("host", lazy_gettext("nginx refused {}"), *_REFUSED),
    Kind.UPSTREAM: Together("host", lazy_gettext("{} answer with errors"), *_ALIKE),
    Kind.CERTIFICATE_EXPIRED: Together("certificate", lazy_gettext("{} have expired"), *_DUE),
    Kind.CERTIFICATE_REVOKED: Together("certificate", lazy_gettext("{} were revoked"), *_CERTIFICATES),
    Kind.CERTIFICATE_MISSING: Together("certificate", lazy_gettext("{} are missing"), *_FAILING),
    Kind.CERTIFICATE_FAILED: Together("certificate", lazy_gettext("{} could not be obtained"), *_FAILING),
    Kind.CERTIFICATE_FAILING: Together("certificate", lazy_gettext("The renewals of {} fail"), *_FAILING),
    Kind.CERTIFICATE_DUE: Together("certificate", lazy_gettext("{} expire soon"), *_DUE),
    Kind.CREDENTIAL: Together("DNS credential", lazy_gettext("{} do not work"), *_CREDENTIALS),
    Kind.AUTHORITY: Together("authority", lazy_gettext("{} cannot be asked"), *_AUTHORITIES),
    Kind.CHANNEL: Together("channel", lazy_gettext("News does not arrive by {}"), *_CHANNELS),
}


def find(estate: Estate, census: Census, parts: Mapping[str, str]) -> list[Trouble]:
    """Everything that is wrong, what is felt now first. `parts` are what the panel says of itself, as /healthz does."""
    found: list[Trouble | Sketch] = [
        *setting_troubles.of_panel(parts),
        *agent_troubles.find(estate),
        *host_troubles.find(estate),
        *certificate_troubles.find(census.suspects, estate.now),
        *setting_troubles.of_settings(census.authorities, census.credentials),
    ]
    return sorted(_together(found), key=lambda one: (one.tone is not Tone.BAD, RANKS[one.kind], one.subject))


def _together(found: Iterable[Trouble | Sketch]) -> list[Trouble]:
    groups: dict[tuple[Kind, Tone, str], list[Trouble | Sketch]] = {}
    for one in found:
        group = _GROUPS.get(one.kind)
        agent_id = one.agent_id if group is not None and group.by_agent else ""
        groups.setdefault((one.kind, one.tone, agent_id), []).append(one)
    told: list[Trouble] = []
    for (kind, _, _), members in groups.items():
        group = _GROUPS.get(kind)
        is_many = group is not None and len(members) > MANY
        told += [_join(group, members)] if group is not None and is_many else [one.draw() for one in members]
    return told


def _join(group: Together, members: Sequence[Trouble | Sketch]) -> Trouble:
    """One sentence for all of them: their number, the first names, and the cause when all have the same."""
    first = members[0].draw()
    number = plural(len(members), group.noun)
    names = listed((one.draw().subject for one in members[:NAMES_SHOWN]), len(members))
    why = first.why if all(one.draw().why == first.why for one in members) else ""  # ends with the first other one
    query = first.query if all(one.query == first.query for one in members) else ""
    moments = [one.at for one in members if one.at is not None]
    return replace(
        first,
        subject=gettext("%(number)s of %(agent)s", number=number, agent=first.agent_name) if group.by_agent else number,
        what=group.what,
        why=sentence(names, why),
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
