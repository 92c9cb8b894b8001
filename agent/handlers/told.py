"""What the panel was told last, so that it is told of differences only.
May import: protos."""

from __future__ import annotations

import threading
from collections.abc import Callable

from protos import command_stream_pb2 as pb

Send = Callable[[pb.AgentMessage], bool]
Look = Callable[[], tuple[pb.Report, bytes] | None]


class Told:
    """One part of a Report, sent when it differs from the last that was sent. Thread-safe."""

    def __init__(self, facts: Callable[[], pb.NginxFacts], send: Send) -> None:
        """`send` answers whether there was a stream to send on."""
        self._facts = facts
        self._send = send
        self._told: bytes | None = None
        self._lock = threading.Lock()

    def restart(self) -> None:
        """A new session: the panel is told everything anew."""
        with self._lock:
            self._told = None

    def tell(self, look: Look) -> None:
        """Sends what `look` finds, unless it says the same as before: one look at a time, so that the newest is told
        last.

        `look` returns the part, and what two parts have in common that say the same; None when it could not look.
        """
        with self._lock:
            found = look()
            if found is None or found[1] == self._told:
                return
            report, alike = found
            report.nginx.CopyFrom(self._facts())
            if self._send(pb.AgentMessage(report=report)):
                self._told = alike
