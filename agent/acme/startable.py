"""Keeps nginx startable from disk: a host whose certificate files are gone is left out until they are back.
May import: agent.acme.usage, agent.config, agent.nginx."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from agent.acme.usage import Usage
from agent.config import AgentConfig
from agent.nginx.setup import prepare
from agent.nginx.turn import Turn

_log = logging.getLogger(__name__)


class Startable:
    """What nginx runs now is left alone: it has the certificate in memory. This is about its next start or reload."""

    def __init__(self, config: AgentConfig, usage: Usage, turn: Turn) -> None:
        self._config = config
        self._usage = usage
        self._turn = turn
        self._left_out = usage.missing()  # the agent's own start has prepared for these

    def keep(self) -> None:
        """Looks at the files, a few stats; writes nginx.conf anew when others are missing than before. A failure is
        logged and tried again at the next call."""
        missing = self._usage.missing()
        if missing == self._left_out:
            return
        try:
            with self._turn.taken():
                for warning in prepare(self._config):
                    _log.warning("%s", warning)
        except OSError as error:
            _log.warning("nginx.conf could not be written anew: %s", error)
        else:
            self._left_out = missing

    def before(self, load: Callable[[threading.Event], str]) -> Callable[[threading.Event], str]:
        """The same `load`, which then reads the hosts whose files are back, too."""

        def load_all(stopping: threading.Event) -> str:
            self.keep()
            return load(stopping)

        return load_all
