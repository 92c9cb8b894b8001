"""Any order of faults: the panel's and the agent's own code, and a wire that drops, doubles, delays and reorders.

Only gRPC and nginx are played. FAULTS_EXAMPLES and FAULTS_STEPS make it try more orders and longer ones.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import gevent
import pytest
from flask import Flask
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from agent.config import AgentConfig
from agent.handlers.lanes import Lanes
from agent.journal import State
from agent.nginx.guard import Guard
from agent.nginx.reload import Reloader
from agent.output import Output
from agent.runner import Agent as AgentProgram
from agent.stream.session import Session as AgentStream
from panel import pki
from panel.extensions import db, transaction
from panel.models import Agent, AgentCertificate, Command, CommandKind, CommandState
from panel.models.types import utcnow
from panel.pki import Authority
from panel.rpc import inbox
from panel.rpc.command_stream import CommandStreamServicer
from panel.rpc.session import AgentSession
from panel.services import commands, outcomes, recovery, sessions
from protos import command_stream_pb2 as pb

EXAMPLES = int(os.environ.get("FAULTS_EXAMPLES", "60"))
STEPS = int(os.environ.get("FAULTS_STEPS", "40"))
APPLIED = "a" * 64
S = CommandState
OPEN = {S.QUEUED, S.SENT, S.RUNNING}
MOVES = {
    S.QUEUED: set(S),
    S.SENT: set(S),
    S.RUNNING: set(S) - {S.QUEUED, S.SENT},
    S.SUCCEEDED: {S.SUCCEEDED},
    S.FAILED: {S.FAILED},
    S.EXPIRED: {S.EXPIRED},
    S.CANCELLED: {S.CANCELLED},
}


class Crash(BaseException):
    """The agent's process ends here."""


class World:
    """What really happened on the agent's machine, whatever anybody says of it."""

    def __init__(self) -> None:
        self.runs: Counter[str] = Counter()
        self.crash_at = ""


class CountingReloader(Reloader):
    """An engine whose nginx is a counter. Its process may end before, in or after the work."""

    world: World
    die: Callable[[], None]

    def reload(self, output: Output, guard: Guard) -> str:
        self._maybe_die("before")
        output.stage("reload", "Telling nginx to load its files again")
        self.world.runs[output._command_id] += 1
        self._maybe_die("in_the_middle")
        return APPLIED

    def _maybe_die(self, place: str) -> None:
        if self.world.crash_at == place:
            self.world.crash_at = ""
            self.die()
            raise Crash


class Program(AgentProgram):
    """The agent without threads of its own: the test says when it works."""

    def __init__(self, config: AgentConfig, world: World) -> None:
        super().__init__(config)
        reloader = CountingReloader.__new__(CountingReloader)
        reloader.world, reloader.die = world, self.close
        dispatcher = self._workshop.dispatcher
        dispatcher._engines = replace(dispatcher._engines, reloader=reloader)
        dispatcher._machine = self._lanes = Lanes("machine", 0)
        dispatcher.start()

    def facts(self) -> pb.NginxFacts:
        return pb.NginxFacts(version="1.22.1", http_port=7880, running=True, applied_revision=APPLIED)

    def work(self) -> bool:
        """Runs the command that is next; False when there is none."""
        if not self._lanes.count():
            return False
        lane = self._lanes._next()
        assert lane is not None
        self._lanes._lanes[lane][0]()
        self._lanes._leave(lane)
        return True

    def close(self) -> None:
        """Its files are closed, as they are when the process ends."""
        self._journal.close()
        self._workshop._store.close()


class NoChannel:
    """Stands where gRPC would be: the test carries the messages."""

    def stream_stream(self, *_: object, **__: object) -> object:
        return None

    unary_unary = stream_stream


class Caller:
    """gRPC's word on one call, seen from the panel."""

    def add_callback(self, _callback: object) -> bool:
        return True

    def cancel(self) -> None:
        """The connection is the test's to cut."""


class Delivery(RuleBasedStateMachine):
    """One agent, one panel, and everything that may go wrong between them."""

    app: Flask
    authority: Authority
    folder: Path

    def __init__(self) -> None:
        super().__init__()
        self.agent_id, self.serial = str(uuid4()), uuid4().hex
        with self.app.app_context(), transaction():
            now = utcnow()
            row = Agent(id=self.agent_id, name=self.agent_id[:13], joined_at=now, applied_revision=APPLIED)
            db.session.add(row)
            db.session.flush()
            until = now + timedelta(days=30)
            db.session.add(AgentCertificate(serial=self.serial, agent_id=row.id, public_key_sha256="", not_after=until))
        state_dir = self.folder / self.agent_id
        self.config = AgentConfig(state_dir=state_dir, letsencrypt_dir=state_dir / "letsencrypt")
        self.world = World()
        self.agent: Program | None = Program(self.config, self.world)
        self.servicer = CommandStreamServicer(self.app, self.authority)
        self.stream: AgentStream | None = None
        self.session: AgentSession | None = None
        self.up: list[tuple[AgentSession, pb.AgentMessage]] = []
        self.down: list[pb.PanelMessage] = []
        self.ids: list[str] = []
        self.seen: dict[str, tuple[str, str, Any]] = {}
        self.has_aged = False

    # ---- what people do ----

    @precondition(lambda self: len(self.ids) < 6)
    @rule()
    def somebody_asks_for_a_reload(self) -> None:
        with self.app.app_context(), transaction():
            agent = db.session.get_one(Agent, self.agent_id)
            self.ids.append(commands.enqueue(agent, CommandKind.RELOAD).id)

    @precondition(lambda self: self.ids)
    @rule(number=st.integers(0, 5))
    def somebody_cancels(self, number: int) -> None:
        with self.app.app_context(), transaction():
            command = commands.get(self.ids[number % len(self.ids)])
            if command.is_open:
                commands.cancel(command, None)

    # ---- the wire ----

    @precondition(lambda self: self.agent)
    @rule(is_hello_lost=st.booleans())
    def the_agent_connects(self, is_hello_lost: bool = False) -> None:
        assert self.agent is not None
        self._leave()
        hello = self.agent.hello()
        if is_hello_lost:
            return
        opening = self.servicer._open(self.agent_id, hello, 1)
        assert not isinstance(opening, pb.Goodbye)
        self.session = AgentSession(self.app, Caller(), self.agent_id, self.serial, opening.epoch)  # type: ignore[arg-type]
        self.session._replaying = set(opening.replaying)
        self.stream = AgentStream(NoChannel(), self.agent, self.agent._journal, self.agent._stop)  # type: ignore[arg-type]
        self.down = [pb.PanelMessage(welcome=opening.welcome)]

    @precondition(lambda self: self.stream)
    @rule(does_the_panel_notice=st.booleans())
    def the_link_is_cut(self, does_the_panel_notice: bool) -> None:
        session = self.session
        self._leave()
        if does_the_panel_notice and session is not None:
            session.end()

    @precondition(lambda self: self.session)
    @rule()
    def the_panel_looks_what_is_due(self) -> None:
        assert self.session is not None
        self.session.note_heartbeat(None)  # a busy computer makes the agent no less alive
        self.session._look()
        self._collect()

    @precondition(lambda self: self.stream and self.session)
    @rule()
    def the_wire_is_good_for_a_moment(self) -> None:
        self.the_panel_looks_what_is_due()
        while self.down:
            self.the_agent_hears_a_message()
        while self.up:
            self.the_panel_hears_a_message()

    @precondition(lambda self: self.agent)
    @rule()
    def a_command_is_on_its_way(self) -> None:
        self.the_agent_connects()
        self.somebody_asks_for_a_reload()
        self.the_panel_looks_what_is_due()
        self.the_agent_hears_a_message()

    @precondition(lambda self: self.down and self.stream)
    @rule()
    def the_agent_hears_a_message(self) -> None:
        assert self.stream is not None
        self.stream._handle(self.down.pop(0))
        self._collect()

    @precondition(lambda self: self.up)
    @rule()
    def the_panel_hears_a_message(self) -> None:
        session, message = self.up.pop(0)
        inbox.receive(self.app, session, message)
        self._collect()

    @precondition(lambda self: self.down)
    @rule()
    def a_message_down_is_lost(self) -> None:
        self.down.pop(0)

    @precondition(lambda self: self.up)
    @rule()
    def a_message_up_is_lost(self) -> None:
        self.up.pop(0)

    @precondition(lambda self: self.down)
    @rule()
    def a_message_down_comes_twice(self) -> None:
        self.down.insert(0, self.down[0])

    @precondition(lambda self: self.up)
    @rule()
    def a_message_up_comes_twice(self) -> None:
        self.up.insert(0, self.up[0])

    @precondition(lambda self: len(self.down) > 1)
    @rule()
    def messages_down_change_their_order(self) -> None:
        self.down.append(self.down.pop(0))

    @precondition(lambda self: len(self.up) > 1)
    @rule()
    def messages_up_change_their_order(self) -> None:
        self.up.append(self.up.pop(0))

    # ---- the agent's machine ----

    @precondition(lambda self: self.agent)
    @rule()
    def the_agent_works(self) -> None:
        assert self.agent is not None
        self.agent.work()
        self._collect()

    @precondition(lambda self: self.agent)
    @rule(place=st.sampled_from(["idle", "before", "in_the_middle"]))
    def the_agent_is_killed(self, place: str) -> None:
        assert self.agent is not None
        self.world.crash_at = place
        try:
            if place != "idle":
                self.agent.work()
        except Crash:
            place = "dead"
        self.world.crash_at = ""
        self._leave()
        if place != "dead":
            self.agent.close()
        self.agent = None

    @precondition(lambda self: self.agent is None)
    @rule()
    def the_agent_is_started(self) -> None:
        self.agent = Program(self.config, self.world)

    # ---- the panel's machine ----

    @rule()
    def the_panel_is_killed_and_started(self) -> None:
        self._leave()
        self.up.clear()
        self.session = None
        self.servicer = CommandStreamServicer(self.app, self.authority)
        with self.app.app_context(), transaction():
            sessions.reset()

    @precondition(lambda self: self.stream is None)
    @rule()
    def more_than_a_day_passes(self) -> None:
        self.has_aged = True
        with self.app.app_context(), transaction():
            for command in recovery.expire_due(utcnow() + timedelta(hours=25)):
                outcomes.settle(command)

    # ---- what must be true after each step ----

    @invariant()
    def nothing_runs_twice(self) -> None:
        assert max(self.world.runs.values(), default=0) <= 1

    @invariant()
    def states_are_true_and_move_only_as_they_may(self) -> None:
        for command in self._commands():
            runs = self.world.runs[command.id]
            before, reason, finished_at = self.seen.get(command.id, (S.QUEUED, "", None))
            if reason not in {"LOST", "TIMEOUT"}:
                assert command.state in MOVES[S(before)], (before, command.state)
                assert finished_at in {None, command.finished_at}  # a result is stored once
            if command.state in {S.QUEUED, S.EXPIRED, S.CANCELLED}:
                assert runs == 0, command.state
            if command.state == S.SUCCEEDED:
                assert runs == 1
                assert command.outcome_known
            assert command.reason != "LOST" or self.has_aged  # no journal is lost here, so no result may be
            if command.reason in {"LOST", "TIMEOUT", "INTERRUPTED"}:
                assert command.state == S.FAILED
                assert not command.outcome_known
            self.seen[command.id] = (command.state, command.reason, command.finished_at)

    def teardown(self) -> None:
        """When the faults end nothing stays open on either side, and what ran is known or said to be unknown."""
        if self.agent is None:
            self.the_agent_is_started()
        assert self.agent is not None
        for _ in range(3):
            self.up.clear()
            self.the_agent_connects()
            self._calm_down()
        self.nothing_runs_twice()
        self.states_are_true_and_move_only_as_they_may()
        assert [command.state for command in self._commands() if command.state in OPEN] == []
        assert [entry for entry in self.agent._journal.open_commands() if entry.state is not State.RUNNING] == []
        self._leave()
        self.agent.close()

    # ---- small things ----

    def _calm_down(self) -> None:
        """Lets everything happen that wants to, without any fault."""
        for _ in range(200):
            assert self.agent is not None
            self.the_panel_looks_what_is_due()
            while self.down:
                self.the_agent_hears_a_message()
            has_worked = self.agent.work()
            self._collect()
            if not self.up and not self.down and not has_worked:
                return
            while self.up:
                self.the_panel_hears_a_message()
        raise AssertionError("it does not come to rest")

    def _collect(self) -> None:
        """Puts on the wire what either side has given out meanwhile."""
        while self.stream is not None and self.stream._outbox._dirty and self.stream._welcomed_at:
            gevent.sleep(0)
        gevent.sleep(0)
        if self.stream is not None and self.session is not None:
            while not self.stream._outgoing.empty():
                message = self.stream._outgoing.get_nowait()
                assert message is not None
                self.up.append((self.session, message))
        if self.session is not None:
            while not self.session._queue.empty():
                answer = self.session._queue.get_nowait()
                if answer is not None and self.stream is not None:
                    self.down.append(answer)

    def _leave(self) -> None:
        """The agent's end of the stream is gone, and with it what was under way to it."""
        if self.stream is not None:
            self.stream._is_open = False
            self.stream._outbox.close()
            gevent.sleep(0)
        if self.agent is not None:
            self.agent._session = None
        self.stream = None
        self.down = []

    def _commands(self) -> list[Command]:
        with self.app.app_context():
            rows = [commands.get(command_id) for command_id in self.ids]
            for row in rows:
                db.session.expunge(row)
            return rows


@pytest.fixture
def machine(app: Flask, tmp_path: Path) -> type[Delivery]:
    """The machine on the panel and in the folder of this test."""
    authority = pki.open_authority(app.config["WAYPOST"].pki_dir, utcnow())
    return type("Machine", (Delivery,), {"app": app, "folder": tmp_path / "agents", "authority": authority})


def test_no_order_of_faults_loses_a_command_or_runs_it_twice(machine: type[Delivery]) -> None:
    chosen = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        derandomize=EXAMPLES <= 100,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=chosen)


def test_a_command_that_the_panel_gave_up_before_it_began_does_not_begin(machine: type[Delivery]) -> None:
    delivery = machine()
    delivery.the_agent_connects()
    delivery.somebody_asks_for_a_reload()
    delivery.the_panel_looks_what_is_due()
    while delivery.down:
        delivery.the_agent_hears_a_message()
    delivery.the_link_is_cut(does_the_panel_notice=True)
    delivery.more_than_a_day_passes()
    delivery.the_agent_connects()
    delivery.the_agent_hears_a_message()
    delivery.the_agent_works()
    assert not delivery.world.runs
    delivery.teardown()
