"""A machine without Docker pays nothing for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.product import ROOT

# An agent whose panel has just let it in; it prints what it has loaded.
PROGRAM = """
import sys, threading
from pathlib import Path
from agent.config import AgentConfig
from agent.handlers.workshop import Wires, Workshop
from agent.journal import Journal
from agent.nginx.setup import prepare
config = AgentConfig(state_dir=Path(sys.argv[1]), docker_host=sys.argv[2])
prepare(config)
wires = Wires(lambda _: True, lambda *_: None, lambda _: None)
workshop = Workshop(config, Journal(config.journal_path), wires, threading.Event())
workshop.start(), workshop.connected(), workshop.tick()
print(*sorted({"docker", "requests"} & set(sys.modules)), *(thread.name for thread in threading.enumerate()))
workshop.refuse_more(), workshop.stop(5)
"""


@pytest.mark.parametrize("host", ["", "unix:///nowhere/docker.sock"])
def test_without_an_engine_its_package_is_not_loaded_and_nobody_waits_for_it(tmp_path: Path, host: str) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "agent"), host]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert not {"docker", "requests", "docker-news"} & set(done.stdout.split()), done.stdout
    assert "upstreams" in done.stdout.split()
