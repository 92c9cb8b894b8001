"""The live page of a job: its output and its steps as they happen, resumable by the number of the last line.
May import: Flask, panel.extensions, panel.services, panel.web."""

from __future__ import annotations

import time
from collections.abc import Iterator

import gevent
from flask import get_template_attribute, render_template
from flask_login import current_user
from markupsafe import escape

from panel.extensions import wakeups
from panel.services import commands
from panel.web import shell, sse
from panel.web.jobs import view
from panel.web.shown import Client

BATCH_LINES = 50
BATCH_DELAY = 0.1  # seconds: lines of a chatty job travel together
LIFETIME = 1800.0  # seconds: then the browser comes back by itself


def follow(connection: sse.Connection, command_id: str, after: int, client: Client) -> Iterator[str]:
    """Everything above line `after`, then what comes, then `done`."""
    follower = _Follower(command_id, after, client)
    ends_at = time.monotonic() + LIFETIME
    with wakeups.subscribe(f"command:{command_id}", *shell.NEWS) as news:
        while not (sse.is_stopping() or connection.has_left) and time.monotonic() < ends_at:
            news.clear()
            with connection.context():
                if not current_user.is_authenticated:
                    return
                messages, is_over = follower.read()
            yield from messages
            if is_over:
                yield sse.DONE
                return
            if follower.has_more:
                continue
            if not connection.wait(news):
                yield sse.PING
            gevent.sleep(BATCH_DELAY)


class _Follower:
    """Remembers what one client has been told."""

    def __init__(self, command_id: str, after: int, client: Client) -> None:
        self._command_id = command_id
        self._cursor = after
        self._client = client
        self.has_more = False

    def read(self) -> tuple[list[str], bool]:
        """The messages that are due, one batch of lines at most, and whether they are the last ones."""
        command = commands.get(self._command_id)  # before its lines: when it is over, they are all there
        messages = self._lines()
        if self.has_more:
            return messages, False
        job = view.view(command)
        changed = self._client.catch_up(_regions(job))
        if changed:
            messages.append(sse.message(changed, cursor=self._cursor))
        return messages, not job.is_open

    def _lines(self) -> list[str]:
        lines = commands.outputs(self._command_id, self._cursor, BATCH_LINES)
        self.has_more = len(lines) == BATCH_LINES
        if not lines:
            return []
        self._cursor = lines[-1].seq
        log_lines = get_template_attribute("components/log.html", "log_lines")
        return [sse.message(log_lines(lines), cursor=self._cursor)]


def _regions(job: view.JobView) -> dict[str, str]:
    """The parts of the page beside the log, by their selectors."""
    return {
        "#steps": render_template("jobs/_steps.html", job=job),
        "#spoken": str(escape(job.spoken_step)),
        "#status": render_template("jobs/_status.html", job=job),
        "#actions": render_template("jobs/_actions.html", job=job),
        "#outcome": render_template("jobs/_outcome.html", job=job),
        "#facts": render_template("jobs/_facts.html", job=job),
    } | shell.regions()
