"""Docker and upstreams as an agent describes them, from the wire: cleaned and capped, because names are hostile.
May import: protos, panel.rpc.text, panel.models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from panel.models import CommandKind
from panel.rpc.text import clean, clean_list, moment_in
from protos import command_stream_pb2 as pb

MAX_NETWORKS = 500  # of one report
MAX_CONTAINERS = 1000
MAX_MEMBERS = 200  # containers named by one network
MAX_ENDPOINTS = 50  # of one container
MAX_PORTS = 50
MAX_LABELS = 20
MAX_ALIASES = 20
MAX_UPSTREAMS = 2000
MAX_NAME = 253  # characters
MAX_PORT = 65535
MAX_MILLISECONDS = 3_600_000

STRANGE_NAME = "Its name has hidden characters or is too long, so that another network could be meant. Rename it."
_LABEL_PREFIX = "waypost."


def report(message: pb.DockerReport) -> dict[str, Any]:
    """All of a report, as plain JSON values under the contract's own names."""
    return {
        "present": message.present,
        "problem": clean(message.problem),
        "version": clean(message.version, 64),
        "nginx_container": clean(message.nginx_container, MAX_NAME),
        "networks": networks(message.networks),
        "containers": containers(message.containers),
    }


def networks(messages: Iterable[pb.DockerNetwork]) -> list[dict[str, Any]]:
    """At most MAX_NETWORKS networks that have a name."""
    return [network(one) for one in list(messages)[:MAX_NETWORKS] if one.name]


def network(message: pb.DockerNetwork) -> dict[str, Any]:
    """One network. A name that is another one once it is harmless can be looked at and not be acted on."""
    name = clean(message.name, MAX_NAME)
    refusal = "" if name == message.name else STRANGE_NAME
    return {
        "id": clean(message.id, 64),
        "name": name,
        "driver": clean(message.driver, 64),
        "scope": clean(message.scope, 32),
        "subnets": clean_list(message.subnets, MAX_ENDPOINTS, 64),
        "internal": message.internal,
        "containers": clean_list(message.containers, MAX_MEMBERS, MAX_NAME),
        "attached": message.attached,
        "wanted": message.wanted,
        "aliases": clean_list(message.aliases, MAX_ALIASES, MAX_NAME),
        "attach_refusal": refusal or clean(message.attach_refusal),
        "detach_refusal": refusal or clean(message.detach_refusal),
        "missing": message.missing,
    }


def containers(messages: Iterable[pb.DockerContainer]) -> list[dict[str, Any]]:
    """At most MAX_CONTAINERS containers that have a name."""
    return [container(one) for one in list(messages)[:MAX_CONTAINERS] if one.name]


def container(message: pb.DockerContainer) -> dict[str, Any]:
    """One container; of its labels only those that are for Waypost."""
    return {
        "id": clean(message.id, 64),
        "name": clean(message.name, MAX_NAME),
        "image": clean(message.image, 512),
        "state": clean(message.state, 32),
        "health": clean(message.health, 32),
        "ports": [_port(one) for one in message.ports[:MAX_PORTS] if 0 < one.private <= MAX_PORT],
        "endpoints": endpoints(message.endpoints),
        "labels": _labels(message.labels),
        "own": message.own,
    }


def endpoints(messages: Iterable[pb.DockerEndpoint]) -> list[dict[str, Any]]:
    """The places of one container in networks."""
    return [
        {
            "network": clean(one.network, MAX_NAME),
            "address": clean(one.address, 64),
            "aliases": clean_list(one.aliases, MAX_ALIASES, MAX_NAME),
        }
        for one in list(messages)[:MAX_ENDPOINTS]
    ]


def upstreams(message: pb.UpstreamReport) -> list[dict[str, Any]]:
    """All of a report of upstreams."""
    return [upstream(one) for one in message.upstreams[:MAX_UPSTREAMS]]


def upstream(message: pb.UpstreamState) -> dict[str, Any]:
    """How one upstream is; `checked_at` in ISO 8601, or None."""
    checked_at = moment_in(message, "checked_at")
    return {
        "scheme": clean(message.scheme, 5),
        "host": clean(message.host, MAX_NAME),
        "port": min(message.port, MAX_PORT),
        "ok": message.ok,
        "cause": "" if message.ok else clean(message.cause, 32),
        "sentence": clean(message.sentence),
        "next_step": clean(message.next_step),
        "container": clean(message.container, MAX_NAME),
        "network": clean(message.network, MAX_NAME),
        "checked_at": None if checked_at is None else checked_at.isoformat(),
        "milliseconds": min(message.milliseconds, MAX_MILLISECONDS),
    }


def result(kind: CommandKind, message: pb.CommandResult) -> dict[str, Any]:
    """The end of a command about Docker or an upstream; what is not set is None."""
    if kind is CommandKind.LIST_NETWORKS:
        return {"networks": networks(message.list_networks.networks)}
    if kind is CommandKind.LIST_CONTAINERS:
        return {"containers": containers(message.list_containers.containers)}
    if kind is CommandKind.CONTAINER_NETWORKS:
        return {"endpoints": endpoints(message.container_networks.endpoints)}
    if kind is CommandKind.CHECK_UPSTREAM:
        detail = message.check_upstream
        return {"state": upstream(detail.state) if detail.HasField("state") else None}
    joined = message.attach_network if kind is CommandKind.ATTACH_NETWORK else message.detach_network
    return {"network": network(joined.network) if joined.HasField("network") else None}


def _port(message: pb.DockerPort) -> dict[str, Any]:
    public = message.public if message.public <= MAX_PORT else 0
    return {"private": message.private, "public": public, "protocol": clean(message.protocol, 8)}


def _labels(labels: Mapping[str, str]) -> dict[str, str]:
    ours = sorted(name for name in labels if name.startswith(_LABEL_PREFIX))[:MAX_LABELS]
    return {clean(name, 64): clean(labels[name], 2000) for name in ours}
