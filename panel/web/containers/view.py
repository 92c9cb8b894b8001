"""What the list of containers shows, as plain values: a row, its state in a pill, a host that is offered.
May import: panel.models, panel.nginx.grammar, panel.services, panel.web."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from panel.i18n import gettext as _
from panel.i18n import lazy_gettext
from panel.models import Agent, ProxyHost
from panel.nginx.grammar import display_name
from panel.services.docker_facts import Container, DockerFacts, Port
from panel.services.labels import Wish
from panel.web.networks.view import Names, some
from panel.web.status import Status

HOSTS_SHOWN = 4  # in a row
_HEALTHS = {
    "healthy": Status("ok", lazy_gettext("Healthy"), lazy_gettext("It runs, and its own health check passes.")),
    "unhealthy": Status("bad", lazy_gettext("Unhealthy"), lazy_gettext("It runs, but its own health check fails.")),
    "starting": Status(
        "run", lazy_gettext("Starting"), lazy_gettext("It runs, and its health check has not passed yet.")
    ),
}
_STATES = {
    "running": Status("ok", lazy_gettext("Running"), lazy_gettext("It runs. It has no health check of its own.")),
    "restarting": Status("warn", lazy_gettext("Restarting"), lazy_gettext("It ended and Docker starts it again.")),
    "paused": Status(
        "warn", lazy_gettext("Paused"), lazy_gettext("It is paused: connections are taken and nothing answers.")
    ),
    "created": Status("off", lazy_gettext("Not started"), lazy_gettext("It was made and never started.")),
    "exited": Status("off", lazy_gettext("Stopped"), lazy_gettext("It has ended.")),
    "dead": Status("bad", lazy_gettext("Dead"), lazy_gettext("Docker could not take it away.")),
}


@dataclass(frozen=True)
class ContainerRow:
    """One container of one agent. `can_add`: a host could lead to it."""

    agent_id: str
    agent_name: str
    id: str
    name: str
    image: str
    status: Status
    networks: tuple[tuple[str, bool], ...]
    ports: Names
    hosts: tuple[tuple[int, str], ...]
    more_hosts: int
    is_own: bool
    is_offered: bool


def row(
    agent: Agent, facts: DockerFacts, container: Container, hosts: Sequence[ProxyHost], *, is_offered: bool
) -> ContainerRow:
    """A container as the list shows it; networks with whether nginx is in them too."""
    attached = {one.name for one in facts.networks if one.is_attached}
    return ContainerRow(
        agent_id=agent.id,
        agent_name=agent.name,
        id=container.id,
        name=container.name,
        image=container.image,
        status=status(container),
        networks=tuple((one.network, one.network in attached) for one in container.endpoints),
        ports=some([_port(port) for port in container.ports]),
        hosts=tuple((host.id, display_name(host.primary_name)) for host in hosts[:HOSTS_SHOWN]),
        more_hosts=max(0, len(hosts) - HOSTS_SHOWN),
        is_own=container.is_own,
        is_offered=is_offered,
    )


def status(container: Container) -> Status:
    """Its state, and its health where it has a check."""
    if container.is_running and container.health in _HEALTHS:
        return _HEALTHS[container.health]
    known = _STATES.get(container.state)
    return known or Status(
        "off", container.state[:20].capitalize() or _("Unknown"), _("Docker's own word for its state.")
    )


def _port(port: Port) -> str:
    suffix = "" if port.protocol == "tcp" else f"/{port.protocol}"
    return f"{port.private}{suffix}" + (_(" as %(port)s", port=port.public) if port.public else "")


@dataclass(frozen=True)
class OfferView:
    """A host that a container's labels ask for. `remarks` tell what confirming does beside; `problem` why it cannot
    be confirmed."""

    agent_id: str
    agent_name: str
    container_id: str
    container: str
    names: tuple[str, ...]
    upstream: str
    remarks: tuple[str, ...]
    problem: str


def offer(agent: Agent, wish: Wish) -> OfferView:
    """An offer as the page shows it."""
    spec = wish.spec
    joins = [_("nginx is joined to the network %(network)s first.", network=wish.network)] if wish.network else []
    certificate = [_("A certificate is requested.")] if wish.wants_certificate else []
    return OfferView(
        agent_id=agent.id,
        agent_name=agent.name,
        container_id=wish.container.id,
        container=wish.container.name,
        names=tuple(display_name(name) for name in wish.names),
        upstream=_address(spec.forward_scheme, spec.forward_host, spec.forward_port) if spec else "",
        remarks=(*joins, *certificate),
        problem=wish.problem,
    )


def _address(scheme: str, host: str, port: int) -> str:
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
