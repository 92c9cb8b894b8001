"""An apply in a process of its own, which a failpoint kills: python -m tests.agent.nginx.killed_apply <arguments>
May import: agent, tests.agent.conftest."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

from agent import failpoints
from agent.config import AgentConfig
from agent.journal import Journal
from agent.nginx.apply import Applier
from agent.nginx.controller import LocalNginx
from agent.nginx.layout import Layout
from tests.agent.conftest import Bench

ROOT = Path(__file__).resolve().parents[3]
PORTS = ("http_port", "https_port", "status_port")


def apply_and_die(bench: Bench, hosts: dict[str, str], failpoint: str, command_id: str = "c1") -> int:
    """Applies until the failpoint kills the process; its exit status."""
    ports = {name: getattr(bench.config, name) for name in PORTS}
    arguments = json.dumps([str(bench.config.state_dir), ports, hosts, failpoint, command_id])
    command = [sys.executable, "-m", "tests.agent.nginx.killed_apply", arguments]
    return subprocess.run(command, cwd=ROOT, env=os.environ, timeout=60).returncode


def main(arguments: str) -> None:
    """What the process does."""
    state_dir, ports, hosts, failpoint, command_id = json.loads(arguments)
    config = dataclasses.replace(AgentConfig(Path(state_dir)), **ports)
    layout, journal = Layout(config.nginx_dir), Journal(config.journal_path)
    nginx = LocalNginx(config, layout)
    bench = Bench(config, layout, journal, nginx, Applier(config, layout, nginx, journal))
    failpoints.arm(failpoint)
    bench.apply(hosts, command_id)


if __name__ == "__main__":
    main(sys.argv[1])
