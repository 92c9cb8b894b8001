"""Name servers that all tests share, an output that can be read, and patience.
May import: agent, pytest, tests.agent.dns.{far_side,servers}."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import pytest

from agent.dns.credential import DnsCredential
from agent.dns.provider import HttpProvider, Job
from agent.dns.values import checked
from agent.nginx.guard import Guard
from agent.output import Output, OutputLine
from tests.agent.dns.far_side import Asked, FarSide, Said, far_side
from tests.agent.dns.servers import NameServer, knot, zone_text


class Opener(Protocol):
    """Calls a provider's class with the fields of a credential."""

    def __call__(self, kind: type[HttpProvider], at: str, /, **fields: str) -> HttpProvider: ...


class Account(Protocol):
    """What a test plays of a provider."""

    def answer(self, asked: Asked, /) -> Said: ...


class Lines:
    """What an output told, as it comes; a listener may act on a line."""

    def __init__(self) -> None:
        self.all: list[OutputLine] = []
        self.listeners: list[Callable[[OutputLine], None]] = []
        self.output = Output("c", self, lambda _: None)

    def append_lines(self, _command_id: str, lines: Sequence[OutputLine]) -> None:
        self.all += lines
        for line in lines:
            for listener in self.listeners:
                listener(line)

    @property
    def text(self) -> str:
        self.output.flush()
        return "\n".join(line.text for line in self.all)

    def of(self, level: str) -> list[str]:
        self.output.flush()
        return [line.text for line in self.all if line.level == level]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """The output of one job."""
    found = Lines()
    yield found
    found.output.close()


@pytest.fixture
def side(account: Account) -> Iterator[FarSide]:
    """The API of the test's own `account`, while it runs."""
    with far_side(account.answer) as found:
        yield found


@pytest.fixture
def open_at(lines: Lines, guard: Guard) -> Opener:
    """Opens a provider that speaks to an API which a test plays."""

    def open_it(kind: type[HttpProvider], at: str, /, **fields: str) -> HttpProvider:
        values = checked(kind.info, DnsCredential("1", "Test", kind.info.id, fields))
        return kind(Job(values, lines.output, guard), kind.info, at)

    return open_it


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NameServer]:
    """One Knot with a zone, a zone that challenges are delegated to, and a zone within the first."""
    records = """
_acme-challenge.delegated IN CNAME delegated-challenge.other.test.
_acme-challenge.near IN CNAME challenge-of-near
_acme-challenge.circle IN CNAME _acme-challenge.circle2
_acme-challenge.circle2 IN CNAME _acme-challenge.circle
*.wild IN CNAME elsewhere.other.test.
sub IN NS ns1
"""
    zones = {
        "example.test": zone_text("example.test", records),
        "sub.example.test": zone_text("sub.example.test"),
        "other.test": zone_text("other.test"),
    }
    with knot(tmp_path_factory.mktemp("knot"), zones) as server:
        yield server
