"""A proxy of bytes between an agent and the panel, which a test can cut, make deaf or slow."""

from __future__ import annotations

import socket
import struct
import threading
from dataclasses import dataclass, field

PATIENCE = 20.0  # seconds that a connection waits for a panel that is being started again


@dataclass
class Link:
    """Both ends of one connection through the proxy."""

    agent: socket.socket
    panel: socket.socket | None = None
    is_forsaken: bool = False

    def cut(self) -> None:
        """Resets both ends, as a link that breaks."""
        for end in (self.agent, self.panel):
            if end is not None:
                reset(end)


@dataclass
class Proxy:
    """Listens on a port of its own. `up` is what agents say, `down` what the panel says."""

    target: int
    passes_up: threading.Event = field(default_factory=threading.Event)
    passes_down: threading.Event = field(default_factory=threading.Event)
    is_open: threading.Event = field(default_factory=threading.Event)
    connections: int = 0

    def __post_init__(self) -> None:
        for event in (self.passes_up, self.passes_down, self.is_open):
            event.set()
        self._links: list[Link] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Breaks every connection; new ones are taken."""
        links, self._links = self._links, []
        for link in links:
            link.cut()

    def close(self) -> None:
        """Breaks every connection and takes no new one until `open`."""
        self.is_open.clear()
        self.cut()

    def open(self) -> None:
        """Takes and passes everything again."""
        for event in (self.passes_up, self.passes_down, self.is_open):
            event.set()

    def swallow(self, *, up: bool = True, down: bool = True) -> None:
        """Connections stay, and what is said on them disappears. Nothing of a direction comes through any more until
        `cut` and `open`: a stream with a hole in it could not be read."""
        if up:
            self.passes_up.clear()
        if down:
            self.passes_down.clear()

    def forsake(self) -> None:
        """Breaks the agents' ends only: the panel hears nothing of it."""
        for link in self._links:
            link.is_forsaken = True
            reset(link.agent)

    def stop(self) -> None:
        """The end of the test."""
        self.close()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                agent, _ = self._listener.accept()
            except OSError:
                return
            if not self.is_open.is_set():
                reset(agent)
                continue
            self.connections += 1
            link = Link(agent)
            self._links.append(link)
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: Link) -> None:
        panel = self._dial()
        if panel is None:
            reset(link.agent)
            return
        link.panel = panel
        back = threading.Thread(target=pump, args=(panel, link.agent, self.passes_down, link), daemon=True)
        back.start()
        pump(link.agent, panel, self.passes_up, link)
        back.join()
        for end in (link.agent, panel):
            end.close()

    def _dial(self) -> socket.socket | None:
        """A panel that is being started is waited for, so that no test waits for an agent's back-off."""
        pause = threading.Event()
        for _ in range(int(PATIENCE / 0.1)):
            try:
                return socket.create_connection(("127.0.0.1", self.target), timeout=None)
            except OSError:
                if not self.is_open.is_set():
                    return None
                pause.wait(0.1)
        return None


def pump(source: socket.socket, target: socket.socket, passes: threading.Event, link: Link) -> None:
    """Until the source ends. What is read while nothing passes is gone, and the rest of this connection with it."""
    is_whole = True
    try:
        while data := source.recv(65536):
            is_whole = is_whole and passes.is_set() and not link.is_forsaken
            if is_whole:
                target.sendall(data)
        if is_whole and not link.is_forsaken:
            target.shutdown(socket.SHUT_WR)
    except OSError:
        if not link.is_forsaken:
            reset(target)


def reset(end: socket.socket) -> None:
    """Ends a connection at once, without the last bytes."""
    try:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end.shutdown(socket.SHUT_RDWR)
        end.close()
    except OSError:
        return
