"""Contents that the panel sends piece by piece, for whoever waits for them.
May import: protos, agent.errors, agent.nginx."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from agent.errors import AgentError
from agent.nginx.bundle import MAX_FILE_BYTES
from agent.nginx.guard import Guard
from protos import command_stream_pb2 as pb


@dataclass
class _Wanted:
    command_id: str
    parts: dict[str, bytearray]
    done: dict[str, bytes] = field(default_factory=dict)
    problem: str = ""

    @property
    def missing(self) -> list[str]:
        return [sha256 for sha256 in self.parts if sha256 not in self.done]


class ContentInbox:
    """Collects pieces until the contents of a command are complete. Thread-safe."""

    def __init__(self, send: Callable[[pb.AgentMessage], bool]) -> None:
        """`send` answers whether there was a stream to send on."""
        self._send = send
        self._wanted: dict[str, _Wanted] = {}
        self._changed = threading.Condition()

    def fetch(self, command_id: str, sha256s: Sequence[str], guard: Guard) -> dict[str, bytes]:
        """Asks the panel and waits. A lost connection is waited for until the guard's deadline. Raises AgentError."""
        wanted = _Wanted(command_id, {sha256: bytearray() for sha256 in sha256s})
        with self._changed:
            self._wanted[command_id] = wanted
        try:
            self._ask(wanted)
            with self._changed:
                while wanted.missing and not wanted.problem:
                    guard.check()
                    self._changed.wait(timeout=0.2)
        finally:
            with self._changed:
                del self._wanted[command_id]
        if wanted.problem:
            raise AgentError(wanted.problem)
        return wanted.done

    def receive(self, content: pb.Content) -> None:
        """One piece. Pieces that nobody waits for, or that do not follow the last one, are dropped."""
        with self._changed:
            for wanted in self._wanted.values():
                if content.sha256 in wanted.parts:
                    _add(wanted, content)
            self._changed.notify_all()

    def resend(self) -> None:
        """A new stream: asks again for what is still missing."""
        with self._changed:
            waiting = list(self._wanted.values())
            for wanted in waiting:
                for sha256 in wanted.missing:
                    wanted.parts[sha256].clear()
        for wanted in waiting:
            self._ask(wanted)

    def _ask(self, wanted: _Wanted) -> None:
        request = pb.ContentRequest(command_id=wanted.command_id, sha256=wanted.missing)
        self._send(pb.AgentMessage(content_request=request))


@dataclass(frozen=True)
class CommandContents:
    """The contents of one command: what it carried, and the rest from the panel."""

    command_id: str
    carried: dict[str, bytes]
    inbox: ContentInbox

    def fetch(self, sha256s: Sequence[str], guard: Guard) -> dict[str, bytes]:
        """See agent.nginx.stage.ContentSource."""
        found = {sha256: self.carried[sha256] for sha256 in sha256s if sha256 in self.carried}
        missing = [sha256 for sha256 in sha256s if sha256 not in found]
        return found | (self.inbox.fetch(self.command_id, missing, guard) if missing else {})


def join_pieces(pieces: Iterable[pb.Content]) -> dict[str, bytes]:
    """The complete contents among those that a command carried."""
    wanted = _Wanted("", {})
    for piece in pieces:
        wanted.parts.setdefault(piece.sha256, bytearray())
        _add(wanted, piece)
    return wanted.done


def _add(wanted: _Wanted, content: pb.Content) -> None:
    if content.error:
        wanted.problem = f"The panel could not send a file: {content.error}"
        return
    part = wanted.parts[content.sha256]
    if content.offset != len(part) or len(part) + len(content.data) > MAX_FILE_BYTES:
        return
    part += content.data
    if not content.last:
        return
    if hashlib.sha256(part).hexdigest() == content.sha256:
        wanted.done[content.sha256] = bytes(part)
    else:
        wanted.problem = "The panel sent a file that is not the one it named."
