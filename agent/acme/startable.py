"""Keeps nginx startable from disk: a host whose certificate files are gone is plain HTTP until they are back.
May import: agent.acme.usage, agent.config, agent.errors, agent.nginx."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from agent.acme.usage import Usage
from agent.config import AgentConfig
from agent.errors import AgentError
from agent.nginx.setup import prepare
from agent.nginx.turn import Turn

_log = logging.getLogger(__name__)

# Two stats for each certificate that nginx reads.
LOOK_SECONDS = 5.0

Load = Callable[[threading.Event], str]


class Startable:
    """Looks by itself, whether or not there is a panel. What nginx runs now is left alone when files go: it has the
    certificate in memory, and this is about its next start or reload. When they are back, nginx reads them."""

    def __init__(self, config: AgentConfig, usage: Usage, turn: Turn, load: Load) -> None:
        """`load` makes nginx read its files again; its caller has the turn."""
        self._config = config
        self._usage = usage
        self._turn = turn
        self._load = load
        self._missing = usage.missing()  # the agent's own start has prepared for these
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="startable", daemon=True)

    def start(self) -> None:
        """Begins to look every few seconds."""
        self._thread.start()

    def stop(self) -> None:
        """Ends that."""
        self._stop.set()

    def look(self) -> None:
        """A few stats; writes nginx.conf anew when others are missing than before, and reloads nginx when some are
        back. A failure is logged, and what could not be written is tried again at the next call."""
        if self._usage.missing() == self._missing:
            return
        with self._turn.taken():
            if self._keep():
                self._load_again()

    def load(self, stopping: threading.Event) -> str:
        """Makes nginx read its files again, all that it can; for others, who have the turn. Raises what that raises."""
        self._keep()
        return self._load(stopping)

    def _keep(self) -> bool:
        """Whether files are back that nginx.conf did without."""
        missing = self._usage.missing()
        if missing == self._missing:
            return False
        try:
            for warning in prepare(self._config):
                _log.warning("%s", warning)
        except (AgentError, OSError) as error:
            _log.warning("nginx.conf could not be written anew: %s", error)
            return False
        back, self._missing = self._missing - missing, missing
        return any(map(self._usage.is_named, back))

    def _load_again(self) -> None:
        try:
            self._load(self._stop)
        except AgentError as error:
            _log.warning("certificates are back, and nginx could not be told: %s", error.message)
        else:
            _log.info("certificates are back, and nginx serves them")

    def _work(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            try:
                self.look()
            except OSError as error:
                _log.warning("whether certificates are there could not be looked at: %s", error)
