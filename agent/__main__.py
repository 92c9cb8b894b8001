"""The agent's command line: prepare, join, run.
May import: agent.runner, agent.acme.lineage, agent.nginx.setup, agent.config, agent.errors, agent.lock."""

from __future__ import annotations

import argparse
import logging
import sqlite3
import sys

from agent import failpoints
from agent.acme.lineage import mend
from agent.config import AgentConfig, ConfigError
from agent.errors import AgentError
from agent.lock import lock
from agent.nginx.setup import prepare
from agent.runner import run, wait_and_join

_log = logging.getLogger("agent")


def main() -> int:
    """Returns the exit status: 0, or 1 after a sentence that says what to do."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s agent: %(message)s", stream=sys.stderr)
    parser = argparse.ArgumentParser(prog="python -m agent", description="Waypost's agent, beside one nginx.")
    parser.add_argument("verb", choices=["prepare", "join", "run"])
    verb = parser.parse_args().verb
    try:
        config = AgentConfig.from_env()
        failpoints.arm(config.failpoint)
        _prepare(config)
        if verb == "join":
            _log.info("joined as %s", wait_and_join(config, seconds=30).agent_name)
        elif verb == "run":
            run(config)
    except (ConfigError, AgentError, failpoints.NoSuchFailpoint) as error:
        _log.error("%s", error)
        return 1
    except (OSError, sqlite3.Error) as error:
        _log.error("The state folder cannot be used: %s", error)
        return 1
    return 0


def _prepare(config: AgentConfig) -> None:
    """Not while another agent may be in the middle of an apply. Raises AgentError then."""
    config.state_dir.mkdir(parents=True, exist_ok=True)
    with lock(config.state_dir):
        # Links first: what they lead to decides which hosts are plain HTTP.
        for warning in [*mend(config.letsencrypt_dir), *prepare(config)]:
            _log.warning("%s", warning)


if __name__ == "__main__":
    sys.exit(main())
