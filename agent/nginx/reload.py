"""Loading the current files again, proved; for a person who asks for it, and for certificates that were replaced.
May import: agent.errors, agent.output and the parts of agent.nginx below agent.nginx.apply."""

from __future__ import annotations

import threading

from agent.errors import AgentError
from agent.nginx.guard import Guard
from agent.nginx.interface import Nginx
from agent.nginx.layout import Layout
from agent.nginx.proof import look, prove
from agent.nginx.release import Releases
from agent.nginx.turn import Turn
from agent.nginx.words import relative
from agent.nginx.wrapper import NO_REVISION
from agent.output import Output


class Reloader:
    """Changes no file, so there is nothing to roll back."""

    def __init__(self, layout: Layout, nginx: Nginx, turn: Turn) -> None:
        self._layout = layout
        self._nginx = nginx
        self._turn = turn
        self._releases = Releases(layout)

    def reload(self, output: Output, guard: Guard) -> str:
        """Answers the revision that nginx then serves, proved. Raises AgentError with nginx's own words; nginx then
        goes on with what it has."""
        output.stage("reload", "Telling nginx to load its files again")
        with self._turn.taken():
            guard.check()
            revision = self.load_again(guard.stopping)
        output.stage("prove", "Waiting until nginx serves them on every new connection")
        output.succeed("nginx serves its files again")
        return "" if revision == NO_REVISION else revision

    def load_again(self, stopping: threading.Event) -> str:
        """The same without a word; the caller has the turn. Raises AgentError, NginxUnavailable when nginx does not
        run, and Stopping."""
        current = self._releases.current()
        if current is None:
            raise AgentError("There is no configuration to load. Apply one first.")
        before = look(self._nginx)
        self._nginx.reload()
        proof = prove(self._nginx, current.bundle.revision, before, stopping)
        if not proof.ok:
            raise AgentError(relative(proof.problem, self._layout.release(current.name), self._layout.root))
        return current.bundle.revision
