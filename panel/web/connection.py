"""One browser's connection: nothing it does, or leaves undone, is kept for longer than it is worth.
May import: gevent, panel.web.sse."""

from __future__ import annotations

import errno
import socket
from typing import Any

from gevent.pywsgi import WSGIHandler, WSGIServer

from panel.web import sse

IDLE_AFTER = 75.0  # seconds without a request, after which a kept-alive connection is closed
STUCK_AFTER = 10.0  # seconds in which a client takes nothing of its answer
GONE_AFTER = 30_000  # milliseconds in which nothing that was sent is confirmed: the machine is gone
SEND_BUFFER = (
    64 << 10
)  # bytes; the system doubles it. What a stream's client does not read waits here, and nowhere else
PIECE = 16 << 10  # bytes that must be taken within STUCK_AFTER


class PanelHandler(WSGIHandler):
    """Sends what it has at once, and closes the connection of who does not read or says nothing for long."""

    def __init__(self, sock: socket.socket, address: Any, server: WSGIServer) -> None:
        if sock.family in {socket.AF_INET, socket.AF_INET6}:
            # Headers and body go out in two writes, and the second would wait 40 ms.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GONE_AFTER)
        sock.settimeout(IDLE_AFTER)
        super().__init__(sock, address, server)

    def get_environ(self) -> dict[str, Any]:
        """The request, and its connection for who waits to see it end."""
        environ: dict[str, Any] = super().get_environ()
        environ[sse.SOCKET] = self.socket
        return environ

    def _sendall(self, data: bytes | bytearray) -> None:
        self.socket.settimeout(STUCK_AFTER)
        try:
            for start in range(0, len(data), PIECE) or (0,):
                super()._sendall(data[start : start + PIECE])  # type: ignore[misc]  # its stub leaves it out
        except TimeoutError:
            if self.environ is not None:
                self.environ[sse.STUCK] = True
            raise BrokenPipeError(errno.EPIPE, "The client takes nothing.") from None
        finally:
            self.socket.settimeout(IDLE_AFTER)
