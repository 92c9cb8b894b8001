"""What an agent reported of Docker, as values to work with: networks, containers, and how old it is.
May import: panel.models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from panel.models import Agent

# Docker's own bridge, which gives its containers no names: they reach each other by address only.
NAMELESS_NETWORK = "bridge"
_MACHINE_DRIVERS = frozenset({"host", "null"})


@dataclass(frozen=True)
class Network:
    """A network beside an agent. `is_wanted`: nginx is to be in it; `is_attached`: it is; a refusal says why a person
    cannot change that, or is empty."""

    id: str
    name: str
    driver: str
    scope: str
    subnets: tuple[str, ...]
    is_internal: bool
    containers: tuple[str, ...]
    is_attached: bool
    is_wanted: bool
    aliases: tuple[str, ...]
    attach_refusal: str
    detach_refusal: str
    is_missing: bool

    @property
    def gives_names(self) -> bool:
        """Whether containers in it find each other by name (every network but Docker's own bridge)."""
        return self.name != NAMELESS_NETWORK and self.driver not in _MACHINE_DRIVERS


@dataclass(frozen=True)
class Port:
    """A port of a container; `public` is the machine's, 0 when it is not published."""

    private: int
    public: int
    protocol: str


@dataclass(frozen=True)
class Endpoint:
    """A container's place in one network; the address is empty while it does not run."""

    network: str
    address: str
    aliases: tuple[str, ...]


@dataclass(frozen=True)
class Container:
    """A container beside an agent. `is_own`: it is nginx, the agent or the panel itself."""

    id: str
    name: str
    image: str
    state: str
    health: str
    ports: tuple[Port, ...]
    endpoints: tuple[Endpoint, ...]
    labels: Mapping[str, str]
    is_own: bool

    @property
    def is_running(self) -> bool:
        """Whether it can answer."""
        return self.state == "running"

    @property
    def tcp_ports(self) -> tuple[int, ...]:
        """The ports that nginx could forward to, each once, in order."""
        return tuple(sorted({port.private for port in self.ports if port.protocol == "tcp"}))

    @property
    def names(self) -> frozenset[str]:
        """What it is called in its networks, in lower case as upstreams are written."""
        aliases = (alias for endpoint in self.endpoints for alias in endpoint.aliases)
        return frozenset(name.lower() for name in (self.name, *aliases))

    @property
    def addresses(self) -> frozenset[str]:
        """Its addresses in all its networks."""
        return frozenset(one.address for one in self.endpoints if one.address)


@dataclass(frozen=True)
class DockerFacts:
    """The Engine beside an agent as it was reported last. `problem` says why there is none; `nginx_container` is
    empty when nginx runs on the machine itself."""

    is_present: bool
    problem: str
    version: str
    nginx_container: str
    networks: tuple[Network, ...]
    containers: tuple[Container, ...]

    def network(self, name: str) -> Network | None:
        """The network of this name; the one that nginx is in, when several have it."""
        found = [one for one in self.networks if one.name == name]
        return next((one for one in found if one.is_attached), found[0] if found else None)

    def container(self, container_id: str) -> Container | None:
        """The container with this id."""
        return next((one for one in self.containers if one.id == container_id), None)

    @property
    def is_nginx_contained(self) -> bool:
        """Whether nginx runs in a container, so that it must share a network with what it forwards to."""
        return bool(self.nginx_container)


NOTHING = DockerFacts(is_present=False, problem="", version="", nginx_container="", networks=(), containers=())


def of(agent: Agent) -> DockerFacts:
    """What the agent reported last; NOTHING before its first report."""
    report = agent.docker
    if not report:
        return NOTHING
    return DockerFacts(
        is_present=report["present"],
        problem=report["problem"],
        version=report["version"],
        nginx_container=report["nginx_container"],
        networks=tuple(sorted(map(_network, report["networks"]), key=lambda one: (not one.is_attached, one.name))),
        containers=tuple(sorted(map(_container, report["containers"]), key=lambda one: one.name)),
    )


def _network(row: Mapping[str, Any]) -> Network:
    return Network(
        id=row["id"],
        name=row["name"],
        driver=row["driver"],
        scope=row["scope"],
        subnets=tuple(row["subnets"]),
        is_internal=row["internal"],
        containers=tuple(row["containers"]),
        is_attached=row["attached"],
        is_wanted=row["wanted"],
        aliases=tuple(row["aliases"]),
        attach_refusal=row["attach_refusal"],
        detach_refusal=row["detach_refusal"],
        is_missing=row["missing"],
    )


def _container(row: Mapping[str, Any]) -> Container:
    return Container(
        id=row["id"],
        name=row["name"],
        image=row["image"],
        state=row["state"],
        health=row["health"],
        ports=tuple(Port(port["private"], port["public"], port["protocol"]) for port in row["ports"]),
        endpoints=tuple(Endpoint(one["network"], one["address"], tuple(one["aliases"])) for one in row["endpoints"]),
        labels=row["labels"],
        is_own=row["own"],
    )
