"""Follows what happens to containers and networks: puts attachments back, and tells who shows them.
May import: agent.errors, agent.docker.{attachments,engine,knock}."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from agent.docker.attachments import Attachments
from agent.docker.engine import DockerRefused, Engine, EventStream
from agent.docker.knock import DockerUnavailable, knock

_log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0  # seconds, while the Engine is away
# What changes nothing that anybody sees; a health check runs a program every few seconds.
_NOISE = ("exec_create", "exec_start", "exec_die", "exec_detach", "top", "resize", "attach")


class Watch:
    """One thread that sleeps until the Engine says something."""

    def __init__(self, engine: Engine, attachments: Attachments, changed: Callable[[], None]) -> None:
        """`changed` is called, in this thread, after something that people may see has changed."""
        self._engine = engine
        self._attachments = attachments
        self._changed = changed
        self._stopping = threading.Event()
        self._stream: EventStream | None = None
        self._thread = threading.Thread(target=self._work, name="docker", daemon=True)

    def start(self) -> None:
        """Begins to follow. An Engine that is away is tried again."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; what is under way is finished first."""
        self._stopping.set()
        stream = self._stream
        if stream is not None:
            stream.close()
        self._thread.join(2.0)

    def _work(self) -> None:
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            try:
                self._follow()
                pause = FIRST_PAUSE
            except DockerUnavailable as error:
                _log.info("%s", error.message)
                self._changed()
                pause = min(pause * 2, LONGEST_PAUSE)
            except Exception:  # noqa: BLE001 - the boundary of a connection: an Engine that dies may end within a word
                _log.exception("the Docker Engine could not be followed; trying again")
                pause = min(pause * 2, LONGEST_PAUSE)
            self._stopping.wait(pause)

    def _follow(self) -> None:
        """From one connection's begin to its end. What happened before it is seen by a look at everything."""
        knock(self._engine.host)
        stream = self._stream = self._engine.events()
        try:
            self._settle()
            for event in stream:
                if self._stopping.is_set():
                    return
                if not str(event.get("Action", "")).startswith(_NOISE):
                    self._settle()
        finally:
            self._stream = None
            stream.close()

    def _settle(self) -> None:
        try:
            self._attachments.restore()
        except DockerRefused as error:
            _log.warning("%s", error.message)
        except (OSError, ValueError) as error:
            _log.error("the networks that nginx is to be in cannot be read: %s", error)
        self._changed()
