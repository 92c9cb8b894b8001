"""Between the wire's messages and what is known of Docker and of upstreams. All names come from strangers.
May import: protos, agent.docker, agent.output, agent.upstreams."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from agent.docker.attachments import Attachment, detach_refusal
from agent.docker.facts import Container, Endpoint, Network
from agent.docker.snapshot import Snapshot
from agent.output import clean
from agent.upstreams.upstream import State, Upstream
from protos import command_stream_pb2 as pb

MAX_NETWORKS, MAX_CONTAINERS = 500, 1000  # the contract's
MAX_UPSTREAMS = 2000
# A message has at most 1 MiB; containers get most of it.
_NETWORK_BYTES, _CONTAINER_BYTES, _UPSTREAM_BYTES = 250_000, 650_000, 900_000
_LABELS = "waypost."
_PROJECT, _SERVICE = "com.docker.compose.project", "com.docker.compose.service"
_OWN_SERVICES = {"panel", "agent", "nginx", "database"}
_ON_MACHINE = "nginx runs on the machine itself, which reaches every container without being in its network."

_M = TypeVar("_M", pb.DockerNetwork, pb.DockerContainer, pb.UpstreamState)


def write_report(snapshot: Snapshot, nginx_container: str, wanted: Sequence[Attachment]) -> pb.DockerReport:
    """Everything that the panel shows of an Engine that answers."""
    return pb.DockerReport(
        present=True,
        version=_text(snapshot.version, 64),
        nginx_container=nginx_container,
        networks=write_networks(snapshot, nginx_container, wanted),
        containers=write_containers(snapshot),
    )


def write_networks(snapshot: Snapshot, nginx_container: str, wanted: Sequence[Attachment]) -> list[pb.DockerNetwork]:
    """All networks, and those that are wanted and are not there."""
    known = {network.name for network in snapshot.networks}
    missing = [pb.DockerNetwork(name=one.network, wanted=True, missing=True, aliases=one.aliases) for one in wanted]
    found = [write_network(network, snapshot, nginx_container, wanted) for network in snapshot.networks]
    return _within([*(one for one in missing if one.name not in known), *found], MAX_NETWORKS, _NETWORK_BYTES)


def write_network(
    network: Network, snapshot: Snapshot, nginx_container: str, wanted: Sequence[Attachment]
) -> pb.DockerNetwork:
    """One network, and how nginx stands to it."""
    nginx = snapshot.nginx
    endpoint = nginx.endpoint(network.id) if nginx else None
    wish = next((one for one in wanted if one.network == network.name), None)
    refusal = detach_refusal(network, nginx, snapshot.own) if nginx and endpoint else ""
    return pb.DockerNetwork(
        id=network.id,
        name=_text(network.name, 255),
        driver=_text(network.driver, 64),
        scope=_text(network.scope, 64),
        subnets=network.subnets[:16],
        internal=network.is_internal,
        containers=[_text(name, 255) for name in network.members[:200]],
        attached=endpoint is not None,
        wanted=wish is not None,
        aliases=[_text(alias, 255) for alias in (endpoint.aliases if endpoint else wish.aliases if wish else ())[:16]],
        attach_refusal=_attach_refusal(network, nginx, nginx_container),
        detach_refusal=refusal,
    )


def write_containers(snapshot: Snapshot) -> list[pb.DockerContainer]:
    """All containers, with those first that run."""
    ordered = sorted(snapshot.containers, key=lambda one: (not one.is_running, one.name))
    found = [write_container(one, is_own=_is_own(one, snapshot)) for one in ordered]
    return _within(found, MAX_CONTAINERS, _CONTAINER_BYTES)


def write_container(container: Container, *, is_own: bool) -> pb.DockerContainer:
    """One container."""
    labels = sorted((key, value) for key, value in container.labels.items() if key.startswith(_LABELS))
    return pb.DockerContainer(
        id=container.id,
        name=_text(container.name, 255),
        image=_text(container.image, 255),
        state=_text(container.state, 32),
        health=container.health,
        ports=[
            pb.DockerPort(private=port.private, public=port.public, protocol=_text(port.protocol, 8))
            for port in container.ports[:64]
        ],
        endpoints=write_endpoints(container.endpoints),
        labels={_text(key, 128): _text(value, 255) for key, value in labels[:16]},
        own=is_own,
    )


def write_endpoints(endpoints: Iterable[Endpoint]) -> list[pb.DockerEndpoint]:
    """A container's places."""
    return [
        pb.DockerEndpoint(
            network=_text(one.network, 255),
            address=one.address,
            aliases=[_text(alias, 255) for alias in one.aliases[:16]],
        )
        for one in list(endpoints)[:64]
    ]


def read_upstream(upstream: pb.Upstream) -> Upstream:
    """One thing that hosts lead to."""
    return Upstream(upstream.scheme, upstream.host, upstream.port)


def write_states(states: Iterable[State]) -> pb.UpstreamReport:
    """All of them; when they are too many for one message, those that need somebody are kept."""
    ordered = sorted(states, key=lambda state: (state.finding.cause is None, str(state.upstream)))
    return pb.UpstreamReport(upstreams=_within(map(write_state, ordered), MAX_UPSTREAMS, _UPSTREAM_BYTES))


def write_state(state: State) -> pb.UpstreamState:
    """One of them."""
    finding = state.finding
    found = pb.UpstreamState(
        scheme=state.upstream.scheme,
        host=state.upstream.host,
        port=state.upstream.port,
        ok=finding.cause is None,
        cause=finding.cause or "",
        sentence=_text(finding.sentence, 1024),
        next_step=_text(finding.next_step, 1024),
        container=_text(finding.container, 255),
        network=_text(finding.network, 255),
        milliseconds=state.milliseconds,
    )
    found.checked_at.FromDatetime(state.checked_at)
    return found


def _attach_refusal(network: Network, nginx: Container | None, nginx_container: str) -> str:
    if not nginx_container:
        return _ON_MACHINE
    return network.refusal or ("" if nginx else f"There is no container {nginx_container}, in which nginx should run.")


def _is_own(container: Container, snapshot: Snapshot) -> bool:
    """The agent and nginx by who they are; the rest of Waypost by the compose project that it shares with them."""
    ours = [one for one in (snapshot.nginx, snapshot.own) if one]
    if any(container.id == one.id for one in ours):
        return True
    projects = {one.labels[_PROJECT] for one in ours if one.labels.get(_PROJECT)}
    labels = container.labels
    return labels.get(_PROJECT) in projects and labels.get(_SERVICE) in _OWN_SERVICES


def _text(text: str, length: int) -> str:
    return clean(text)[:length]


def _within(messages: Iterable[_M], count: int, most: int) -> list[_M]:
    """So many of the first as fit."""
    kept: list[_M] = []
    for message in messages:
        most -= message.ByteSize() + 4
        if most < 0 or len(kept) >= count:
            break
        kept.append(message)
    return kept
