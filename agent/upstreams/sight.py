"""What the Engine's facts tell of an upstream before anybody tries to reach it.
May import: agent.docker.{facts,snapshot}, agent.upstreams.upstream."""

from __future__ import annotations

from dataclasses import dataclass

from agent.docker.facts import Container, Endpoint
from agent.docker.snapshot import Snapshot
from agent.upstreams.upstream import Upstream

# The oldest network, in which Docker gives no names (Docker: "Use the default bridge network").
_NAMELESS = "bridge"


@dataclass(frozen=True)
class Sight:
    """The container that an upstream means, and how nginx stands to it. Another sight is a reason to check again.

    `addresses` are those in networks that nginx is in too, `direct` those that the agent can reach as nginx does.
    `network` is one that nginx could join to find it.
    """

    container: str = ""
    is_running: bool = False
    health: str = ""
    ports: tuple[int, ...] = ()
    published: tuple[tuple[int, int], ...] = ()  # (in the container, on the machine)
    is_shared: bool = False
    direct: str = ""
    network: str = ""
    nginx: str = ""  # its container's id and networks


def look_at(upstream: Upstream, snapshot: Snapshot) -> Sight:
    """A container that nginx shares a network with is preferred to another of the same name."""
    nginx = snapshot.nginx
    joined = {one.network_id for one in nginx.endpoints} if nginx else set()
    state = f"{nginx.id}:{','.join(sorted(joined))}" if nginx else ""
    meant = [one for one in snapshot.containers if (nginx is None or one.id != nginx.id) and _is_meant(upstream, one)]
    if not meant:
        return Sight(nginx=state)
    best = max(meant, key=lambda one: (bool(_common(upstream, one, joined)), one.is_running, one.name))
    common = _common(upstream, best, joined)
    return Sight(
        container=best.name,
        is_running=best.is_running,
        health=best.health,
        ports=tuple(sorted({port.private for port in best.ports if port.protocol == "tcp"})),
        published=tuple((port.private, port.public) for port in best.ports if port.public),
        is_shared=bool(common),
        direct=_direct(common, snapshot),
        network=_joinable(upstream, best, snapshot),
        nginx=state,
    )


def _is_meant(upstream: Upstream, container: Container) -> bool:
    if upstream.address:
        return any(one.address == upstream.address for one in container.endpoints)
    wanted = upstream.host.lower()
    names = {container.name, container.id[:12], *(alias for one in container.endpoints for alias in one.aliases)}
    return wanted in {name.lower() for name in names}


def _common(upstream: Upstream, container: Container, joined: set[str]) -> list[Endpoint]:
    """Its places in nginx's networks where the upstream's name, or its address, leads there."""
    wanted = upstream.host.lower()

    def leads(one: Endpoint) -> bool:
        if upstream.address:
            return one.address == upstream.address
        everywhere = {container.name.lower(), container.id[:12]}
        return one.network != _NAMELESS and wanted in everywhere | {alias.lower() for alias in one.aliases}

    return [one for one in container.endpoints if one.network_id in joined and leads(one)]


def _direct(common: list[Endpoint], snapshot: Snapshot) -> str:
    """A bare machine reaches every bridge; an agent in a container only the networks that it is in."""
    own = {one.network_id for one in snapshot.own.endpoints} if snapshot.own else None
    return next((one.address for one in common if one.address and (own is None or one.network_id in own)), "")


def _joinable(upstream: Upstream, container: Container, snapshot: Snapshot) -> str:
    """The first of its networks that nginx may join, and in which it is then found."""
    for one in container.endpoints:
        network = snapshot.network(one.network_id)
        if network and not network.refusal and (upstream.address or one.network != _NAMELESS):
            return network.name
    return ""
