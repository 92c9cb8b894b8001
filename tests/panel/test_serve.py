"""The one process: it says where it listens, refuses with a sentence, and stops when asked."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def environment(folder: Path, **values: str) -> dict[str, str]:
    ports = dict.fromkeys(("PANEL_PORT", "PANEL_STREAM_PORT", "PANEL_ENROLL_PORT"), "0")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PANEL_")}
    return {**kept, **ports, "PANEL_STATE_DIR": str(folder), **values}


def flask(env: dict[str, str], *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flask", "--app", "wsgi", *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, input=given, capture_output=True, text=True, timeout=60)


@contextmanager
def serving(env: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running panel and its address."""
    assert flask(env, "db", "upgrade").returncode == 0
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


@pytest.mark.parametrize("variable", ["PANEL_PORT", "PANEL_STREAM_PORT", "PANEL_ENROLL_PORT"])
def test_a_port_in_use_is_named_with_its_variable(tmp_path: Path, variable: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        env = environment(tmp_path, **{variable: str(port)})
        command = [sys.executable, "wsgi.py"]
        ended = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert f"Port {port} is in use by another program." in ended.stderr
    assert variable in ended.stderr
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


def test_people_and_agents_are_administered_from_the_terminal(tmp_path: Path) -> None:
    env = environment(tmp_path)
    assert flask(env, "db", "upgrade").returncode == 0
    assert "/setup?token=" in flask(env, "admin", "setup-link").stdout
    password = "correct horse battery staple\n"
    create = ("admin", "create-user", "--username", "Dora", "--role", "administrator", "--password-stdin")
    assert "dora may now log in" in flask(env, *create, given=password).stdout
    again = flask(env, *create, given=password)
    assert (again.returncode, "already" in again.stderr) == (1, True)
    assert "characters" in flask(env, "admin", "reset-password", "--username", "dora", "--password-stdin").stderr
    reset = flask(env, "admin", "reset-password", "--username", "dora", "--password-stdin", given=password)
    assert "new password" in reset.stdout
    role = ("admin", "set-role", "--username", "dora", "--role")
    assert "only administrator" in flask(env, *role, "viewer").stderr
    assert "no user" in flask(env, "admin", "set-role", "--username", "nobody", "--role", "viewer").stderr
    assert flask(env, "admin", "setup-link").returncode == 1
    assert flask(env, "agent", "add", "edge").stdout.startswith("wp1.")
    assert flask(env, "agent", "list").stdout.split("\t")[:2] == ["edge", "waiting"]
    assert "revoked" in flask(env, "agent", "revoke", "edge").stdout
    assert "no agent" in flask(env, "agent", "revoke", "nobody").stderr
