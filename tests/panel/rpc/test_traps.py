"""The known ways in which gevent, gRPC and HTTP break each other, each kept shut."""

from __future__ import annotations

import errno
import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import gevent
import grpc
import pytest
from flask import Flask
from gevent.event import Event

from panel import passwords, pki, serve
from panel.config import Config
from panel.extensions import stopping, vitals
from panel.rpc import server as rpc_server
from panel.rpc import session
from panel.serve import Panel, StartRefused
from panel.services import agents
from protos import command_stream_pb2 as pb
from tests.panel.rpc.conftest import Join
from tests.panel.rpc.wire import OPTIONS, Identity, Wire, until

ROOT = Path(__file__).resolve().parents[3]


@contextmanager
def agent_process(config: Config, identity: Identity, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A connected agent in a process of its own."""
    folder.mkdir(exist_ok=True)
    for name, pem in (("key", identity.key_pem), ("cert", identity.certificate_pem), ("ca", identity.ca_pem)):
        (folder / f"{name}.pem").write_bytes(pem)
    command = [sys.executable, "-m", "tests.panel.rpc.plain_agent", str(config.stream_port), str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "welcome\n"
        try:
            yield process
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()


def is_connected(app: Flask, agent_id: str) -> bool:
    with app.app_context():
        return agents.get(agent_id).is_connected


@pytest.mark.usefixtures("panel")
def test_children_of_the_panel_do_not_die_of_grpcs_fork_handlers() -> None:
    assert os.environ["GRPC_ENABLE_FORK_SUPPORT"] == "0"
    assert {subprocess.run(["true"]).returncode for _ in range(40)} == {0}


def test_other_greenlets_run_while_a_call_is_under_way(live: Config, join: Join) -> None:
    _, identity = join("edge")
    with Wire(live, identity) as wire:
        ticks = 0

        def tick() -> None:
            nonlocal ticks
            while True:
                gevent.sleep(0.005)
                ticks += 1

        ticker = gevent.spawn(tick)
        wire.greet()
        wire.quiet("nothing", seconds=0.2)
        ticker.kill()
        assert ticks > 1


def test_a_frozen_agent_is_noticed_by_the_ping_and_not_after_a_minute(
    app: Flask, join: Join, live: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent_id, identity = join("edge")
    quick = {"grpc.keepalive_time_ms": 1000, "grpc.http2.ping_timeout_ms": 1000}
    assert quick.keys() <= dict(rpc_server.STREAM_OPTIONS).keys()
    hurried = tuple((name, quick.get(name, value)) for name, value in rpc_server.STREAM_OPTIONS)
    monkeypatch.setattr(rpc_server, "STREAM_OPTIONS", hurried)
    app.config["WAYPOST"] = replace(live, port=0, stream_port=0, enroll_port=0)
    second = Panel(app)
    second.start()
    try:
        with agent_process(second.config, identity, tmp_path / "agent") as process:
            process.send_signal(signal.SIGSTOP)
            until(lambda: not is_connected(app, agent_id), timeout=20)
    finally:
        second.stop()
        stopping.clear()


def test_passwords_are_not_hashed_where_grpc_polls() -> None:
    hub_pool = gevent.get_hub().threadpool
    before = hub_pool.size
    gevent.joinall([gevent.spawn(passwords.hash_password, "correct horse battery staple") for _ in range(8)])
    assert hub_pool.size <= before


def test_a_malformed_first_message_leaves_no_call_behind(panel: Panel, live: Config, join: Join) -> None:
    _, identity = join("edge")
    credentials = grpc.ssl_channel_credentials(
        pki.read_ca_pem(live.pki_dir), identity.key_pem, identity.certificate_pem
    )
    with grpc.secure_channel(f"127.0.0.1:{live.stream_port}", credentials, OPTIONS) as channel:
        raw: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream("/waypost.v1.CommandStream/Connect")
        with pytest.raises(grpc.RpcError):
            list(raw(iter([b"\xff\xff\xff\xff"]), timeout=5))
        begin = time.monotonic()
        panel.stop()
        assert time.monotonic() - begin < 3


def test_keep_alive_requests_back_to_back_do_not_wait_for_delayed_acks(live: Config) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", live.port, timeout=10)
    durations = []
    for _ in range(15):
        begin = time.monotonic()
        connection.request("GET", "/.well-known/waypost")
        connection.getresponse().read()
        durations.append(time.monotonic() - begin)
    connection.close()
    assert min(durations[1:]) < 0.03  # a delayed ack costs each of them 40 ms, a busy machine only some


@pytest.mark.parametrize("name", ["stream_port", "enroll_port"])
def test_a_second_panel_does_not_share_a_port_in_silence(app: Flask, live: Config, name: str) -> None:
    port = getattr(live, name)
    app.config["WAYPOST"] = replace(live, **{"port": 0, "stream_port": 0, "enroll_port": 0, name: port})
    with pytest.raises(StartRefused, match=rf"Port {port} is in use.*PANEL_{name.upper()}\b"):
        Panel(app)


def test_stopping_takes_less_than_five_seconds_with_a_frozen_agent(
    panel: Panel, live: Config, join: Join, tmp_path: Path
) -> None:
    _, identity = join("edge")
    with agent_process(live, identity, tmp_path / "agent") as process:
        process.send_signal(signal.SIGSTOP)
        begin = time.monotonic()
        panel.stop()
        assert time.monotonic() - begin < 5


def test_stopping_says_goodbye_and_leaves_the_agent_awaited(app: Flask, panel: Panel, live: Config, join: Join) -> None:
    agent_id, identity = join("edge")
    with Wire(live, identity) as wire:
        wire.greet()
        gevent.spawn(panel.stop)
        assert wire.expect("goodbye").retry_after.ToSeconds() == 1
        assert wire.ended.wait(5)
    assert is_connected(app, agent_id)


def test_an_agent_whose_heartbeats_stay_away_is_sent_off(
    app: Flask, live: Config, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, identity = join("edge")
    monkeypatch.setattr(session, "LOOK_EVERY", 0.05)
    object.__setattr__(live, "heartbeat_interval", 0.1)
    with Wire(live, identity) as wire:
        wire.greet()
        assert "heartbeats" in wire.expect("goodbye").text
        assert wire.ended.wait(5)


def test_an_agent_that_does_not_acknowledge_is_sent_off_and_harms_no_other(
    app: Flask, live: Config, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "LOOK_EVERY", 0.05)
    monkeypatch.setattr(session, "ACK_WITHIN", 0.2)
    _, deaf = join("deaf")
    _, other = join("other")
    with Wire(live, deaf) as silent, Wire(live, other) as attentive:
        silent.greet()
        attentive.greet()
        assert attentive.expect("command")
        assert "acknowledge" in silent.expect("goodbye").text


def test_an_agent_that_does_not_read_is_cut_off(
    app: Flask, live: Config, join: Join, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "SLOW_AFTER", 0.3)
    monkeypatch.setattr(session, "QUEUE_LENGTH", 4)
    made: list[session.AgentSession] = []
    begin = session.AgentSession.begin

    def begin_and_tell(self: session.AgentSession, requests: Iterator[pb.AgentMessage], replaying: set[str]) -> None:
        made.append(self)
        begin(self, requests, replaying)

    monkeypatch.setattr(session.AgentSession, "begin", begin_and_tell)
    agent_id, identity = join("edge")
    with agent_process(live, identity, tmp_path / "agent") as process:
        process.send_signal(signal.SIGSTOP)
        until(lambda: len(made) == 1)
        piece = pb.PanelMessage(content=pb.Content(sha256="0" * 64, data=bytes(256 << 10)))
        for _ in range(64):
            made[0].send(piece)
        until(lambda: not is_connected(app, agent_id), timeout=15)


def test_a_server_certificate_that_a_full_disk_did_not_take_is_tried_again(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it no agent could connect after some weeks, though the disk had room again long ago."""
    asked: list[int] = []
    is_again, open_identity = Event(), pki.open_server_identity

    def open_or_break(folder: Path, authority: pki.Authority, now: datetime) -> pki.ServerIdentity:
        asked.append(1)
        if len(asked) == 2:  # the first was the start
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if len(asked) > 2:
            is_again.set()
        return open_identity(folder, authority, now)

    monkeypatch.setattr(serve, "ROTATE_EVERY", 0.01)
    monkeypatch.setattr(pki, "open_server_identity", open_or_break)
    panel = Panel(app)
    panel.start()
    try:
        assert is_again.wait(10)
    finally:
        panel.stop()
        stopping.clear()
        vitals.clock_ticked_at = None
