"""The one process: it says where it listens, refuses with a sentence, and stops when asked."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

ROOT = Path(__file__).resolve().parents[2]


def environment(folder: Path, **values: str) -> dict[str, str]:
    ports = dict.fromkeys(("PANEL_PORT", "PANEL_STREAM_PORT", "PANEL_ENROLL_PORT"), "0")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PANEL_")}
    return {**kept, **ports, "PANEL_STATE_DIR": str(folder), **values}


def flask(env: dict[str, str], *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flask", "--app", "wsgi", *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, input=given, capture_output=True, text=True, timeout=60)


@cache
def migrated() -> bytes:
    """The file that `flask db upgrade` makes, which every panel of these tests begins with."""
    with TemporaryDirectory() as folder:
        done = flask(environment(Path(folder)), "db", "upgrade")
        assert done.returncode == 0, done.stderr
        with closing(sqlite3.connect(Path(folder) / "panel.sqlite3")) as connection:
            return connection.serialize()


def make_database(env: dict[str, str]) -> None:
    """The panel's database, as it is before somebody has used it."""
    folder = Path(env["PANEL_STATE_DIR"])
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "panel.sqlite3").write_bytes(migrated())


@contextmanager
def serving(env: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running panel and its address; with an empty database when there is none yet."""
    if not (Path(env["PANEL_STATE_DIR"]) / "panel.sqlite3").exists():
        make_database(env)
    process = subprocess.Popen([sys.executable, "wsgi.py"], cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True)
    with process:
        assert process.stderr is not None
        address = ""
        for line in process.stderr:
            found = re.search(r"listening for people on (\S+)", line)
            if found:
                address = found.group(1)
                break
        try:
            assert address, "the panel did not start"
            yield process, address
        finally:
            process.kill()


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_panel_serves_until_it_is_asked_to_stop(tmp_path: Path, number: signal.Signals) -> None:
    with serving(environment(tmp_path, PANEL_BUNDLED_AGENT="local")) as (process, address):
        deadline = time.monotonic() + 10
        status, body = get(f"{address}/healthz")
        while status != 200 and time.monotonic() < deadline:
            status, body = get(f"{address}/healthz")
        parts = dict.fromkeys(("status", "database", "stream_server", "clock", "hub", "disk"), "ok")
        assert json.loads(body) == parts
        assert "waypost_hub_lag_seconds_count" in get(f"{address}/metrics")[1]
        known = json.loads(get(f"{address}/.well-known/waypost")[1])
        assert known["ca_pem"].startswith("-----BEGIN CERTIFICATE-----")
        assert known["enroll_port"] > 0
        assert (tmp_path / "setup-link").stat().st_mode & 0o777 == 0o600
        assert (tmp_path / "bundled-agent.token").read_text().startswith("wp1.")
        begin = time.monotonic()
        process.send_signal(number)
        assert process.wait(10) == 0
        assert time.monotonic() - begin < 5
    assert not (tmp_path / "panel.sqlite3-wal").exists() or not (tmp_path / "panel.sqlite3-wal").stat().st_size


def test_a_port_in_use_is_named_with_its_variable(tmp_path: Path) -> None:
    """The other two: tests.panel.rpc.test_traps."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        env = environment(tmp_path, PANEL_PORT=str(port))
        command = [sys.executable, "wsgi.py"]
        ended = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert f"Port {port} is in use by another program." in ended.stderr
    assert "PANEL_PORT" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    env = environment(tmp_path, PANEL_PORT="eighty")
    ended = subprocess.run([sys.executable, "wsgi.py"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert "PANEL_PORT" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_damaged_authority_keeps_the_panel_from_starting(tmp_path: Path) -> None:
    (tmp_path / "pki").mkdir(mode=0o700)
    (tmp_path / "pki" / "ca.pem").write_text("half of it")
    env = environment(tmp_path)
    ended = subprocess.run([sys.executable, "wsgi.py"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert "backup" in ended.stderr


def test_a_person_is_made_from_the_terminal(tmp_path: Path) -> None:
    """The rest of the commands: tests.panel.test_cli_people."""
    env = environment(tmp_path)
    make_database(env)
    create = ("admin", "create-user", "--username", "Dora", "--role", "administrator", "--password-stdin")
    assert "dora may now log in" in flask(env, *create, given="correct horse battery staple\n").stdout
    refused = flask(env, "admin", "setup-link")
    assert (refused.returncode, "administrator already" in refused.stderr) == (1, True)
    assert "Traceback" not in refused.stderr
