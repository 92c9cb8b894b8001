"""What an Engine tells, as plain values: containers, networks, processes.
May import: the standard library only."""

from __future__ import annotations

import calendar
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

# Networks that no nginx can be joined to while it runs, and why.
_UNJOINABLE_DRIVERS = {
    "host": "It is the machine's own network; a container has it from its start or never.",
    "null": "It is the absence of a network.",
}


@dataclass(frozen=True)
class Port:
    """A port that a container has. `public` is the machine's port, 0 when it is not published."""

    private: int
    public: int
    protocol: str


@dataclass(frozen=True)
class Endpoint:
    """A container's place in one network."""

    network: str
    network_id: str
    address: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Container:
    """One container. `state` is the Engine's word ("running", "exited" …), `health` likewise or empty."""

    id: str
    name: str
    image: str
    state: str
    health: str
    ports: tuple[Port, ...]
    endpoints: tuple[Endpoint, ...]
    labels: Mapping[str, str]

    @property
    def is_running(self) -> bool:
        """Whether it can answer."""
        return self.state == "running"

    def is_called(self, name_or_id: str) -> bool:
        """Whether a person may mean this one: by its name, its id, or the short id that Docker prints."""
        is_short = len(name_or_id) == 12 and self.id.startswith(name_or_id)
        return bool(name_or_id) and (name_or_id in {self.name, self.id} or is_short)

    def endpoint(self, network: str) -> Endpoint | None:
        """Its place in the network of this name or id; None when it is not in it."""
        return next((one for one in self.endpoints if network in {one.network, one.network_id}), None)


@dataclass(frozen=True)
class Network:
    """One network. `refusal` is why nginx cannot be joined to it, or empty."""

    id: str
    name: str
    driver: str
    scope: str
    subnets: tuple[str, ...]
    is_internal: bool
    refusal: str
    members: tuple[str, ...]  # names of the containers in it


@dataclass(frozen=True)
class Process:
    """A process as the Engine's machine numbers it. `age` is in seconds; `started` tells it from a later one that got
    the same number (it is in the time zone of that machine, so that it is good for nothing else)."""

    pid: int
    parent: int
    age: float
    started: float
    title: str


def read_container(row: Mapping[str, Any]) -> Container:
    """A container as the Engine lists it (GET /containers/json)."""
    networks = (row.get("NetworkSettings") or {}).get("Networks") or {}
    names = [str(name).removeprefix("/") for name in row.get("Names") or ()]
    return Container(
        id=str(row["Id"]),
        # A container that is linked by others has their paths among its names; its own has no second slash.
        name=next((name for name in names if "/" not in name), names[0] if names else str(row["Id"])[:12]),
        image=str(row.get("Image") or ""),
        state=str(row.get("State") or ""),
        health=_health(str(row.get("Status") or "")),
        ports=tuple(_ports(row.get("Ports") or ())),
        endpoints=tuple(_endpoint(name, one or {}) for name, one in sorted(networks.items())),
        labels={str(key): str(value) for key, value in (row.get("Labels") or {}).items()},
    )


def read_aliases(row: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Names by network id (GET /containers/{id}/json). From API 1.45 on its short id is not among the aliases."""
    networks = (row.get("NetworkSettings") or {}).get("Networks") or {}
    return {
        str(one.get("NetworkID") or ""): tuple(dict.fromkeys(map(str, one.get("Aliases") or ())))
        for one in networks.values()
        if one
    }


def read_network(row: Mapping[str, Any], containers: Iterable[Mapping[str, Any]]) -> Network:
    """A network as the Engine lists it (GET /networks), with those of its containers that run here."""
    pools = (row.get("IPAM") or {}).get("Config") or ()
    members = [read_container(container) for container in containers]
    return Network(
        id=str(row["Id"]),
        name=str(row["Name"]),
        driver=str(row.get("Driver") or ""),
        scope=str(row.get("Scope") or ""),
        subnets=tuple(str(pool["Subnet"]) for pool in pools if pool.get("Subnet")),
        is_internal=bool(row.get("Internal")),
        refusal=_refusal(row),
        members=tuple(sorted(one.name for one in members if one.endpoint(str(row["Id"])))),
    )


def read_processes(answer: Mapping[str, Any]) -> list[Process]:
    """GET /containers/{id}/top with `-eo pid,ppid,etimes,lstart,args`; lines of no such shape are left out."""
    return [found for row in answer.get("Processes") or () if (found := _process(" ".join(row).split()))]


def _process(words: list[str]) -> Process | None:
    if len(words) < 9 or not all(map(str.isdigit, words[:3])):
        return None
    try:
        started = calendar.timegm(time.strptime(" ".join(words[3:8]), "%a %b %d %H:%M:%S %Y"))
    except ValueError:
        return None
    return Process(int(words[0]), int(words[1]), float(words[2]), float(started), " ".join(words[8:]))


def _health(status: str) -> str:
    """The Engine tells health only in its sentence "Up 3 minutes (healthy)"."""
    for word in ("unhealthy", "healthy", "health: starting"):
        if f"({word})" in status:
            return word.removeprefix("health: ")
    return ""


def _ports(rows: Iterable[Mapping[str, Any]]) -> list[Port]:
    found = {
        Port(int(row["PrivatePort"]), int(row.get("PublicPort") or 0), str(row.get("Type") or "tcp")) for row in rows
    }
    return sorted(found, key=lambda port: (port.private, port.public, port.protocol))


def _endpoint(name: str, row: Mapping[str, Any]) -> Endpoint:
    aliases = tuple(str(alias) for alias in row.get("Aliases") or ())
    return Endpoint(name, str(row.get("NetworkID") or ""), str(row.get("IPAddress") or ""), aliases)


def _refusal(row: Mapping[str, Any]) -> str:
    if row.get("Ingress"):
        return "It is Docker Swarm's own network for published ports; services are joined to it by Swarm alone."
    if row.get("Scope") == "swarm" and not row.get("Attachable"):
        return "It is a Swarm network that is not attachable. Make it attachable, then nginx can be joined to it."
    return _UNJOINABLE_DRIVERS.get(str(row.get("Driver")), "")
