"""Containers beside an agent: which hosts lead to them, and how a host could, through which network.
May import: panel.services.docker_facts, panel.nginx.grammar, panel.models, panel.extensions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from panel.extensions import db
from panel.i18n import gettext as _
from panel.models import Agent, ProxyHost
from panel.nginx import grammar
from panel.services import docker_facts
from panel.services.docker_facts import Container, DockerFacts, Network

LOOPBACK = "127.0.0.1"
_LOOPBACKS = frozenset({LOOPBACK, "::1", "localhost"})
# Where web programs usually listen, the likeliest first; another port is taken when none of these is there.
_WEB_PORTS = (80, 8080, 8000, 3000, 5000, 443, 8443)
_TLS_PORTS = frozenset({443, 8443})


@dataclass(frozen=True)
class Suggestion:
    """How a host would lead to a container. `host` and `port` are empty or 0 where nobody can know; `network` is the
    one that nginx must be joined to first, or empty; `remark` says what a person should know."""

    scheme: str
    host: str
    port: int
    network: str = ""
    remark: str = ""


def suggest(facts: DockerFacts, container: Container, *, port: int = 0, network: str = "") -> Suggestion:
    """The best way from nginx to a container; `port` and `network` are wishes, of labels or of a person."""
    port = port or choose_port(container)
    scheme = "https" if port in _TLS_PORTS else "http"
    if not facts.is_nginx_contained:
        return _from_the_machine(container, scheme, port)
    way = _choose_network(facts, container, network)
    if way is None:
        return Suggestion(scheme, "", port, remark=_no_way(container))
    joined = "" if way.is_attached else way.name
    name = _name_in(container, way) if way.gives_names else ""
    if name:
        return Suggestion(scheme, name, port, joined)
    remark = _(
        "Its address in %(network)s changes when the container is made again: Docker gives no names there.",
        network=way.name,
    )
    return Suggestion(scheme, _address_in(container, way.name), port, joined, remark)


def choose_port(container: Container) -> int:
    """The port that most likely speaks HTTP; 0 when it has none that is known."""
    ports = container.tcp_ports
    return next((port for port in _WEB_PORTS if port in ports), ports[0] if ports else 0)


def network_to_join(agent: Agent, forward_host: str) -> Network | None:
    """The network by which nginx would reach the container of this name. None when it shares one already, no container
    is called so, or nothing can be done: the form asks this for whatever is typed."""
    facts = docker_facts.of(agent)
    if not (facts.is_present and facts.is_nginx_contained):
        return None
    for container in facts.containers:
        if not container.is_own and forward_host.lower() in container.names:
            ways = [way for way in _ways(facts, container) if way.gives_names]
            return None if not ways or ways[0].is_attached else ways[0]
    return None


def hosts_by_container(agent: Agent, facts: DockerFacts) -> dict[str, list[ProxyHost]]:
    """The hosts that lead to each container, by its id: by its name, its address or a port it has on the machine."""
    query = select(ProxyHost).where(ProxyHost.agent_id == agent.id, ProxyHost.deleted_at.is_(None))
    hosts = list(db.session.scalars(query.order_by(ProxyHost.id)))
    found = {container.id: _leading_to(container, hosts, facts) for container in facts.containers}
    return {container_id: those for container_id, those in found.items() if those}


def _leading_to(container: Container, hosts: Iterable[ProxyHost], facts: DockerFacts) -> list[ProxyHost]:
    names = container.names | container.addresses
    public = set() if facts.is_nginx_contained else {port.public for port in container.ports if port.public}
    return [
        host
        for host in hosts
        if host.forward_host in names or (host.forward_host in _LOOPBACKS and host.forward_port in public)
    ]


def _from_the_machine(container: Container, scheme: str, port: int) -> Suggestion:
    """An nginx on the machine reaches published ports and addresses, and knows no names of containers."""
    published = [one.public for one in container.ports if one.public and one.protocol == "tcp" and one.private == port]
    if published:
        return Suggestion(scheme, LOOPBACK, published[0])
    if any(one.network == "host" for one in container.endpoints):
        return Suggestion(
            scheme, LOOPBACK, port, remark=_("It uses the machine's own network, so look which port it has.")
        )
    address = next((one.address for one in container.endpoints if one.address), "")
    if not address:
        return Suggestion(scheme, "", port, remark=_no_way(container))
    remark = _(
        "Its address changes when the container is made again. Publish its port on 127.0.0.1 to have a lasting one."
    )
    return Suggestion(scheme, address, port, remark=remark)


def _choose_network(facts: DockerFacts, container: Container, wish: str) -> Network | None:
    ways = _ways(facts, container)
    return next((way for way in ways if way.name == wish), ways[0] if ways else None)


def _ways(facts: DockerFacts, container: Container) -> Sequence[Network]:
    """The networks of a container by which nginx could reach it: those that it is in already and that give names
    first."""
    its_own = {endpoint.network for endpoint in container.endpoints}
    usable = [one for one in facts.networks if one.name in its_own and (one.is_attached or not one.attach_refusal)]
    return sorted(usable, key=lambda one: (not one.gives_names, not one.is_attached, one.name))


def _name_in(container: Container, network: Network) -> str:
    """A name of the container that nginx can be given; an alias when its own is none."""
    aliases = [alias for one in container.endpoints if one.network == network.name for alias in one.aliases]
    return next((name for name in (container.name, *aliases) if _is_upstream(name)), "")


def _is_upstream(name: str) -> bool:
    try:
        return grammar.parse_forward_host(name) == name.lower()
    except ValueError:
        return False


def _address_in(container: Container, network: str) -> str:
    return next((one.address for one in container.endpoints if one.network == network), "")


def _no_way(container: Container) -> str:
    if any(one.network == "host" for one in container.endpoints):
        return _("It uses the machine's own network: enter the machine's address, as nginx's container sees it.")
    if not container.is_running:
        return _("It is not running, so that its address is not known. Start it, or enter where it will listen.")
    return _("It is in no network that nginx can be joined to. Put it into one of your own, or enter its address.")
