"""A command for the wire: rendered when it is sent, with what it needs of files and secrets.
May import: protos, panel.rpc.{certificate_orders,docker_orders,text}, panel.services, panel.models and below."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from panel.models import Command, CommandKind
from panel.rpc import certificate_orders, docker_orders
from panel.rpc.text import duration
from panel.services.transitions import REDELIVERY_WINDOW
from panel.services.upstreams import Upstream
from protos import command_stream_pb2 as pb

MAX_MESSAGE = 1 << 20  # bytes
INLINE_CONTENTS = 256 << 10  # bytes
CHUNK = 256 << 10  # bytes


@dataclass(frozen=True)
class Files:
    """What a command with a bundle brings: path to sha256, the size of each content, the texts that the agent lacks."""

    manifest: Mapping[str, str]
    sizes: Mapping[str, int]
    texts: Mapping[str, str]


def command(row: Command, files: Files | None = None, upstreams: Iterable[Upstream] = ()) -> pb.PanelMessage:
    """A command for the wire; `files` when it has a bundle. `upstreams` go with an apply, as far as there is room.

    Raises ValueError when it does not fit into one message, and what panel.rpc.certificate_orders.write() raises.
    """
    now = datetime.now(UTC)
    message = pb.Command(
        command_id=row.id,
        seq=row.seq,
        time_to_live=duration(min(max(row.expires_at - now, timedelta(seconds=1)), REDELIVERY_WINDOW)),
        run_timeout=duration(timedelta(seconds=row.run_timeout)),
    )
    kind = CommandKind(row.kind)
    if kind is CommandKind.APPLY_CONFIG:
        message.apply_config.bundle.CopyFrom(_bundle(row, files))
        room = MAX_MESSAGE - 2048 - message.ByteSize()
        docker_orders.add_upstreams(message.apply_config, upstreams, room)
    elif kind is CommandKind.TEST_CONFIG:
        message.test_config.bundle.CopyFrom(_bundle(row, files))
    elif kind is CommandKind.RELOAD:
        message.reload.SetInParent()
    elif kind is CommandKind.CHECK_NGINX:
        message.check_nginx.SetInParent()
    elif kind.is_about_docker:
        docker_orders.write(row, message)
    else:
        certificate_orders.write(row, message)
    if message.ByteSize() > MAX_MESSAGE - 1024:
        raise ValueError("the command does not fit into one message")
    return pb.PanelMessage(command=message)


def chunks(sha256: str, text: str) -> Iterable[pb.PanelMessage]:
    """One content in pieces of at most 256 KiB, the last one marked."""
    data = text.encode()
    for offset in range(0, max(len(data), 1), CHUNK):
        piece = data[offset : offset + CHUNK]
        is_last = offset + CHUNK >= len(data)
        yield pb.PanelMessage(content=pb.Content(sha256=sha256, offset=offset, data=piece, last=is_last))


def _bundle(row: Command, files: Files | None) -> pb.ConfigBundle:
    if files is None or not files.manifest:
        raise ValueError("nothing is known of the files of this command")
    bundle = pb.ConfigBundle(revision=row.payload["revision"])
    for path, sha256 in sorted(files.manifest.items()):
        bundle.files.add(path=path, sha256=sha256, size=files.sizes[sha256])
    room = min(INLINE_CONTENTS, MAX_MESSAGE - (64 << 10) - bundle.ByteSize())
    for sha256, text in sorted(files.texts.items()):
        data = text.encode()
        room -= len(data) + 128
        if room < 0:
            break  # the agent asks for the rest
        bundle.contents.add(sha256=sha256, data=data, last=True)
    return bundle
