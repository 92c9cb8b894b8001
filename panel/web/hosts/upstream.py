"""Why a host answers with 502, and how its upstream is otherwise, in words and with what mends it.
May import: panel.models, panel.services, panel.web."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from panel.i18n import gettext as _
from panel.i18n import lazy_gettext, midst
from panel.models import Agent, AgentStatus, ProxyHost
from panel.services import docker_facts, upstreams
from panel.services.upstreams import Health, Upstream
from panel.web.status import Status

UNCHECKED = Status(
    "off",
    lazy_gettext("Not checked"),
    lazy_gettext("The agent looks at it after the first apply, and from time to time then."),
)
# A cause of the contract: the pill's tone, its word, and what visitors get of it.
_CAUSES = {
    "unresolved": ("bad", lazy_gettext("Name not found"), "502"),
    "no_common_network": ("bad", lazy_gettext("No common network"), "502"),
    "stopped": ("bad", lazy_gettext("Container stopped"), "502"),
    "unhealthy": ("warn", lazy_gettext("Unhealthy"), ""),
    "refused": ("bad", lazy_gettext("Port closed"), "502"),
    "timeout": ("bad", lazy_gettext("No answer in time"), "504"),
    "tls": ("bad", lazy_gettext("TLS mismatch"), "502"),
    "unreachable": ("bad", lazy_gettext("Not reachable"), "502"),
}
_OTHER = _CAUSES["unreachable"]
_HERE = frozenset({AgentStatus.ONLINE, AgentStatus.SYNCING})


@dataclass(frozen=True)
class UpstreamView:
    """A host's upstream at the last look. `headline` is empty while all is well. `network`: nginx can be joined to it
    by a button, and that mends it. `is_old`: the agent is away. `is_checking`: a look is under way."""

    status: Status
    headline: str
    sentence: str
    next_step: str
    network: str
    checked_at: datetime | None
    milliseconds: int
    is_old: bool
    is_checking: bool

    @property
    def is_bad(self) -> bool:
        """Whether visitors get an error."""
        return bool(self.headline)


def status(health: Health | None, agent_status: AgentStatus) -> Status:
    """The pill of an upstream; of an agent that is away only what was seen last."""
    if health is None:
        return UNCHECKED
    tone, word, _code = ("ok", _("Reachable"), "") if health.is_ok else _CAUSES.get(health.cause, _OTHER)
    detail = health.sentence or (_("nginx can connect to it.") if health.is_ok else _("nginx cannot use it."))
    if agent_status not in _HERE:
        return Status("off", word, _("Seen before the agent went away. %(detail)s", detail=detail))
    return Status(tone, word, detail)


def view(host: ProxyHost, agent_status: AgentStatus) -> UpstreamView:
    """What the host's page says of its upstream."""
    health = upstreams.health(host)
    is_bad = health is not None and not health.is_ok and host.is_enabled and not host.is_deleted
    return UpstreamView(
        status=status(health, agent_status),
        headline=_headline(host, health) if health is not None and is_bad else "",
        sentence=health.sentence if health else "",
        next_step=health.next_step if health else "",
        network=_joinable(host.agent, health.network) if health else "",
        checked_at=health.checked_at if health else None,
        milliseconds=health.milliseconds if health else 0,
        is_old=agent_status not in _HERE,
        is_checking=upstreams.find_check(host) is not None,
    )


def health_of(agents: Iterable[Agent]) -> Mapping[str, Mapping[Upstream, Health]]:
    """The last looks of several agents, by their ids; each agent is read once."""
    return upstreams.health_of(agents)


def _headline(host: ProxyHost, health: Health) -> str:
    _tone, word, code = _CAUSES.get(health.cause, _OTHER)
    if not code:
        return _("Visitors may get errors: %(lower)s", lower=midst(word))
    cause = str(word) if word == "TLS mismatch" else midst(word)
    if host.is_live:
        return _("Why visitors get %(code)s: %(cause)s", code=code, cause=cause)
    return _("Why visitors would get %(code)s: %(cause)s", code=code, cause=cause)


def _joinable(agent: Agent, name: str) -> str:
    """The network that would mend it, if nginx can be joined to it from here."""
    facts = docker_facts.of(agent)
    network = facts.network(name) if name and facts.is_nginx_contained else None
    return network.name if network and not network.is_attached and not network.attach_refusal else ""
