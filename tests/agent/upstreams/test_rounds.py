"""Upstreams are looked at after an apply and when something happened, and only what is new is told."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from agent.docker.snapshot import Snapshot
from agent.nginx.wrapper import Machine
from agent.upstreams.check import Checker
from agent.upstreams.rounds import FIRST_RETRY, Rounds
from agent.upstreams.store import KEEP, UpstreamStore
from agent.upstreams.upstream import Cause, State, Upstream
from tests.product import free_ports

WITHIN = 10.0  # seconds


class World:
    """Rounds that run, and what they told."""

    def __init__(self, folder: Path) -> None:
        self.revision = "r1"
        self.told: list[list[State]] = []
        self._news = threading.Condition()
        self.store = UpstreamStore(folder / "upstreams.json", lambda: self.revision)
        machine = Machine("", (), ipv6=False, status_port=1, http_port=80)
        self.rounds = Rounds(self.store, Checker(lambda: machine, "", None), lambda: None, self._hear)

    def _hear(self, states: Sequence[State]) -> None:
        with self._news:
            self.told.append(list(states))
            self._news.notify_all()

    def expect(self, *causes: Cause | None) -> None:
        """Returns when the last that was told has exactly these causes."""
        with self._news:
            assert self._news.wait_for(lambda: bool(self.told) and _causes(self.told[-1]) == set(causes), WITHIN)


def _causes(states: Sequence[State]) -> set[Cause | None]:
    return {state.finding.cause for state in states}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.rounds.stop()


def at(port: int) -> Upstream:
    return Upstream("http", "127.0.0.1", port)


def test_what_the_current_release_leads_to_is_told_once(world: World) -> None:
    (closed,) = free_ports(1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        world.store.remember("r1", [at(port), at(port), at(closed)])
        world.rounds.start()
        world.expect(None, Cause.REFUSED)
        assert len(world.told[-1]) == 2
        world.rounds.applied()
        world.store.remember("r2", [at(port)])
        world.revision = "r2"
        world.rounds.applied()
        world.expect(None)
    assert len(world.told) == 2, "a round in which nothing changed was told"


def test_one_that_comes_back_is_told_soon_without_being_asked(world: World) -> None:
    (port,) = free_ports(1)
    world.store.remember("r1", [at(port)])
    world.rounds.start()
    world.expect(Cause.REFUSED)
    with socket.create_server(("127.0.0.1", port)):
        world.expect(None)
    assert FIRST_RETRY < WITHIN


def test_somebody_who_asks_gets_an_answer_and_the_others_hear_of_it(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        world.store.remember("r1", [at(port)])
        world.rounds.start()
        world.expect(None)
    assert world.rounds.check(at(port)).finding.cause is Cause.REFUSED
    world.expect(Cause.REFUSED)


def test_a_round_that_breaks_is_not_the_last_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = free_ports(1)
    world.store.remember("r1", [at(port)])
    broken = threading.Event()

    def breaks(_upstream: Upstream, _snapshot: Snapshot | None) -> State:
        broken.set()
        raise OSError("what it needs cannot be read")

    with monkeypatch.context() as patch:
        patch.setattr(world.rounds._checker, "check", breaks)
        world.rounds.start()
        assert broken.wait(WITHIN)
    world.rounds.applied()
    world.expect(Cause.REFUSED)


def test_what_nobody_leads_to_may_be_asked_for_and_is_not_told(world: World) -> None:
    (port,) = free_ports(1)
    assert world.rounds.check(at(port)).finding.cause is Cause.REFUSED
    assert world.told == []


def test_upstreams_are_kept_by_release_and_survive_a_restart(tmp_path: Path) -> None:
    current = ["r0"]
    store = UpstreamStore(tmp_path / "upstreams.json", lambda: current[0])
    for number in range(KEEP + 3):
        store.remember(f"r{number}", [at(1000 + number)])
    again = UpstreamStore(tmp_path / "upstreams.json", lambda: current[0])
    assert again.current() == (at(1000),), "the current release was forgotten"
    current[0] = f"r{KEEP + 2}"
    assert again.current() == (at(1000 + KEEP + 2),)
    current[0] = "r1"
    assert again.current() == ()


def test_a_damaged_file_is_as_if_nothing_was_known(tmp_path: Path) -> None:
    (tmp_path / "upstreams.json").write_text("{")
    store = UpstreamStore(tmp_path / "upstreams.json", lambda: "r1")
    assert store.current() == ()
    store.remember("r1", [at(80)])
    assert store.current() == (at(80),)
