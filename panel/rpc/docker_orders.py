"""Commands about Docker and upstreams for the wire, and the upstreams that go with an apply.
May import: protos, panel.services, panel.models and below."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from panel.models import Command, CommandKind
from panel.services.upstreams import Upstream
from protos import command_stream_pb2 as pb

# Checks are a help and an apply is not to fail for them: what finds no room here is not checked.
ROOM = 48 << 10  # bytes


def write(row: Command, message: pb.Command) -> None:
    """Writes the action of a command about Docker or an upstream into its message."""
    _WRITERS[CommandKind(row.kind)](row, message)


def add_upstreams(message: pb.ApplyConfig, upstreams: Iterable[Upstream], room: int) -> None:
    """Names what the hosts of an apply lead to, as far as `room` bytes (and ROOM) allow."""
    room = min(room, ROOM)
    for one in upstreams:
        entry = _upstream(one.scheme, one.host, one.port)
        room -= entry.ByteSize() + 4
        if room < 0:
            return
        message.upstreams.append(entry)


def _list_networks(_row: Command, message: pb.Command) -> None:
    message.list_networks.SetInParent()


def _list_containers(_row: Command, message: pb.Command) -> None:
    message.list_containers.SetInParent()


def _container_networks(row: Command, message: pb.Command) -> None:
    message.container_networks.CopyFrom(pb.ContainerNetworks(container=row.payload["container"]))


def _attach(row: Command, message: pb.Command) -> None:
    action = pb.AttachNetwork(network=row.payload["network"], aliases=row.payload.get("aliases", []))
    message.attach_network.CopyFrom(action)


def _detach(row: Command, message: pb.Command) -> None:
    message.detach_network.CopyFrom(pb.DetachNetwork(network=row.payload["network"]))


def _check_upstream(row: Command, message: pb.Command) -> None:
    upstream = _upstream(row.payload["scheme"], row.payload["host"], row.payload["port"])
    message.check_upstream.CopyFrom(pb.CheckUpstream(upstream=upstream))


def _upstream(scheme: str, host: str, port: int) -> pb.Upstream:
    return pb.Upstream(scheme=scheme, host=host, port=port)


_WRITERS: Mapping[CommandKind, Callable[[Command, pb.Command], None]] = {
    CommandKind.LIST_NETWORKS: _list_networks,
    CommandKind.LIST_CONTAINERS: _list_containers,
    CommandKind.CONTAINER_NETWORKS: _container_networks,
    CommandKind.ATTACH_NETWORK: _attach,
    CommandKind.DETACH_NETWORK: _detach,
    CommandKind.CHECK_UPSTREAM: _check_upstream,
}
