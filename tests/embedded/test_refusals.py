"""What the supervisor refuses before it starts anything: exit code 2 and one sentence.
May import: the standard library; the supervisor is a real process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from panel.embedded.run import lock

ROOT = Path(__file__).resolve().parents[2]


def supervise(state: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "panel.embedded.supervisor", "--state", str(state), *arguments]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60
    )


def test_a_port_in_use_is_one_sentence_and_nothing_starts(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        done = supervise(tmp_path, PANEL_PORT=str(port))
    assert done.returncode == 2
    assert f"Port {port} (the panel) is already used by" in done.stdout
    assert "PANEL_PORT=" in done.stdout
    assert done.stderr == ""
    assert not (tmp_path / "panel" / "panel.sqlite3").exists()


def test_a_second_run_on_the_same_folder_is_refused_with_the_first_ones_process(tmp_path: Path) -> None:
    with lock(tmp_path):
        done = supervise(tmp_path)
    assert done.returncode == 2
    assert f"already runs with {tmp_path} (process {os.getpid()})" in done.stdout


def test_a_port_that_is_no_number_is_refused_by_its_variable(tmp_path: Path) -> None:
    done = supervise(tmp_path, AGENT_HTTP_PORT="eighty")
    assert done.returncode == 2
    assert "AGENT_HTTP_PORT: use a port from 1 to 65535, not 'eighty'." in done.stdout


def test_an_nginx_that_is_not_there_is_said_with_the_command_that_installs_it(tmp_path: Path) -> None:
    done = supervise(tmp_path, AGENT_NGINX_BINARY=str(tmp_path / "nginx"))
    assert done.returncode == 2
    assert "apt-get install nginx" in done.stdout


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = supervise(tmp_path / "file" / "var")
    assert done.returncode == 2
    assert "cannot be" in done.stdout
