"""A whole installation that a test breaks: a panel, a byte proxy, agent processes and a real nginx."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from flask import Flask

from agent.identity import Identity, save
from agent.keys import csr_for, new_key
from panel import pki
from panel.config import Config
from panel.extensions import db, transaction
from panel.models import Agent, AgentStatus, Command, CommandKind, CommandState
from panel.models.types import utcnow
from panel.services import agents, bundles, commands, deployments, enrollments
from tests.agent.conftest import Bench
from tests.agent.far_side import AgentProcess
from tests.faults.proxy import Proxy
from tests.panel.rpc.wire import until

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 40.0  # seconds until a test gives up
PAUSE = 0.05  # seconds between two looks: they would take the processor from what they wait for
RELOADS = "Telling nginx to load its files again"
OPEN = {CommandState.QUEUED, CommandState.SENT, CommandState.RUNNING}


class PanelProcess:
    """`python wsgi.py` on the database of the test."""

    def __init__(self, config: Config) -> None:
        self._environ = {name: value for name, value in os.environ.items() if not name.startswith("PANEL_")} | {
            "PANEL_STATE_DIR": str(config.state_dir),
            "PANEL_PORT": "0",
            "PANEL_STREAM_PORT": str(config.stream_port),
            "PANEL_ENROLL_PORT": "0",
            "PANEL_HEARTBEAT_INTERVAL": str(config.heartbeat_interval),
            "PANEL_STALE_AFTER": str(config.stale_after),
            "PANEL_OFFLINE_AFTER": str(config.offline_after),
        }
        self.log_path = config.state_dir.parent / "panel.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def start(self, failpoint: str = "") -> None:
        """Returns when it listens."""
        seen = self.log_path.stat().st_size if self.log_path.exists() else 0
        environ = {**self._environ, "PANEL_FAILPOINT": failpoint}
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen([sys.executable, "wsgi.py"], cwd=ROOT, env=environ, stderr=log, stdout=log)
        until(lambda: b"listening for agents" in self.log_path.read_bytes()[seen:], timeout=PATIENCE, pause=PAUSE)

    def limit_files(self, size: int) -> None:
        """No file of it may grow beyond so many bytes: a disk that is full."""
        assert self._process is not None
        limit_files(self._process.pid, size)

    def wait_dead(self) -> int:
        """Until it ended by itself; its exit status."""
        assert self._process is not None
        return self._process.wait(PATIENCE)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE)
            self._process = None


class Plant:
    """What a test asks and breaks. The database is looked at directly: it is where panel and test meet."""

    def __init__(self, app: Flask, config: Config, bench: Bench) -> None:
        self.app = app
        self.config = config
        self.bench = bench
        self.proxy = Proxy(config.stream_port)
        self.agent = AgentProcess(bench.config, AGENT_WATCHDOG="3")
        self.agent_id = self.join("edge", bench.config.identity_dir)

    def join(self, name: str, folder: Path) -> str:
        """An agent that has joined: its identity lies in the folder and leads through the proxy."""
        with self.app.app_context(), transaction():
            token = agents.create(name, None, self.config)[1]
        return self._enroll(token, name, folder)

    def _enroll(self, token: str, name: str, folder: Path) -> str:
        key_pem = new_key()
        authority = pki.open_authority(self.config.pki_dir, utcnow())
        with self.app.app_context(), transaction():
            joined = enrollments.enroll(token.split(".")[1], csr_for(key_pem), "machine", authority, utcnow())
        pems = authority.pem.decode(), key_pem, joined.certificate_pem.decode()
        save(folder, Identity(joined.agent_id, name, "127.0.0.1", self.proxy.port, *pems))
        return joined.agent_id

    def rejoin(self) -> None:
        """A new join of the same agent on the machine that the test has."""
        with self.app.app_context(), transaction():
            token = agents.new_join_token(agents.get(self.agent_id), None, self.config)
        self._enroll(token, "edge", self.bench.config.identity_dir)

    def stop(self) -> None:
        self.agent.kill()
        self.proxy.stop()

    # ---- asking ----

    def enqueue(self, kind: CommandKind = CommandKind.RELOAD) -> str:
        with self.app.app_context(), transaction():
            return commands.enqueue(agents.get(self.agent_id), kind).id

    def test_config(self) -> str:
        """Asks for a test of what is saved."""
        with self.app.app_context(), transaction():
            agent = agents.get(self.agent_id)
            rendered = deployments.bundle(agent)
            bundles.store(agent, rendered)
            payload = {"revision": rendered.revision, "files": len(rendered.files)}
            return commands.enqueue(agent, CommandKind.TEST_CONFIG, payload=payload).id

    def cancel(self, command_id: str) -> None:
        with self.app.app_context(), transaction():
            commands.cancel(commands.get(command_id), None)

    @contextmanager
    def locked_database(self) -> Iterator[None]:
        """Another program holds the panel's database, so that nobody can write."""
        connection = sqlite3.connect(self.config.state_dir / "panel.sqlite3", isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")
            connection.close()

    # ---- looking ----

    def command(self, command_id: str) -> Command:
        with self.app.app_context():
            command = commands.get(command_id)
            db.session.expunge(command)
            return command

    def row(self) -> Agent:
        with self.app.app_context():
            agent = agents.get(self.agent_id)
            db.session.expunge(agent)
            return agent

    def status(self) -> AgentStatus:
        with self.app.app_context():
            return agents.status(agents.get(self.agent_id), utcnow(), self.config)

    def lines(self, command_id: str) -> list[str]:
        with self.app.app_context():
            return [line.text for line in commands.outputs(command_id)]

    def reloads(self, command_id: str) -> int:
        """How often the agent ran it: each run says so once."""
        return self.lines(command_id).count(RELOADS)

    # ---- waiting ----

    def until(self, condition: Callable[[], object]) -> None:
        until(lambda: bool(condition()), timeout=PATIENCE, pause=PAUSE)

    def until_online(self) -> None:
        """Connected, resynchronised and with a first configuration."""
        self.until(lambda: self.row().is_synced and self.row().applied_revision)

    def until_away(self) -> None:
        self.until(lambda: not self.row().is_connected)

    def until_state(self, command_id: str, *states: CommandState) -> Command:
        self.until(lambda: self.command(command_id).state in states)
        return self.command(command_id)

    def until_ended(self, command_id: str) -> Command:
        self.until(lambda: self.command(command_id).state not in OPEN)
        return self.command(command_id)


def limit_files(pid: int, size: int) -> None:
    """Sets how large a process may make files; -1 for no limit."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size if size >= 0 else hard, hard))


def nginx_of(bench: Bench) -> psutil.Process:
    """nginx's master."""
    assert bench.process is not None
    return psutil.Process(bench.process.pid)
