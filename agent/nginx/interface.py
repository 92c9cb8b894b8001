"""What the agent needs of an nginx, wherever that runs: one small interface and the values that it speaks in.
May import: agent.nginx.{guard,words}."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from agent.nginx.guard import Guard
from agent.nginx.words import LogLine

# A process id and its start, so that a reused id is not taken for the same process.
ProcessKey = tuple[int, float]


@dataclass(frozen=True)
class Facts:
    """What people and the panel want to know of this nginx. `problem` is one sentence, or empty."""

    version: str
    modules: tuple[str, ...]
    http_port: int
    https_port: int
    running: bool
    applied_revision: str
    problem: str
    ipv6: bool


@dataclass(frozen=True)
class Processes:
    """nginx's processes: `serving` workers accept connections, `leaving` ones only finish what they have. `logged_as`
    is the master's number in its own log, which in a container is another than outside."""

    master: ProcessKey
    serving: frozenset[ProcessKey]
    leaving: frozenset[ProcessKey]
    logged_as: int


@dataclass(frozen=True)
class LogMark:
    """A place in the error log."""

    inode: int
    offset: int


@dataclass(frozen=True)
class TestReport:
    """The end of an `nginx -t`."""

    ok: bool
    lines: list[LogLine]


class Nginx(Protocol):
    """One nginx, wherever it runs. Methods raise NginxUnavailable when it is missing or stopped."""

    def facts(self) -> Facts:
        """A fresh look; never raises, because what is wrong is one of the facts."""

    def test(self, conf: Path, guard: Guard) -> TestReport:
        """Runs `nginx -t`; a guard that ends it kills the whole process group and raises."""

    def processes(self) -> Processes:
        """The master and its workers, now."""

    def serving_since(self) -> float:
        """When the oldest worker that serves was started, in seconds since the epoch."""

    def reload(self) -> None:
        """Sends HUP to the master; returns before nginx has done anything."""

    def address(self) -> str:
        """The address at which this agent reaches nginx's listeners."""

    def rotate_log(self) -> None:
        """Sets a large error log aside; what is wrong is logged and tried again next time."""

    def revision(self) -> str:
        """What the revision endpoint answers on a fresh connection; empty when it does not answer."""

    def reopen_log(self) -> None:
        """Makes nginx write its error log where it is read, when somebody has moved the file away."""

    def mark_log(self) -> LogMark:
        """The end of the error log."""

    def read_log(self, mark: LogMark) -> list[LogLine]:
        """What was written to the error log since."""
