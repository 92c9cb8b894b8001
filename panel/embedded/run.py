"""What one run is made of: its folder, which it locks, its environment and its ports, all read before anything starts.
May import: the standard library, panel.config and the modules of panel.embedded."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from panel.config import Config, ConfigError
from panel.embedded.ports import Port, complaints
from panel.embedded.system_packages import find_program
from panel.embedded.test_authority import TestAuthority, find_programs, is_wanted


class Refusal(Exception):
    """Nothing was started; the sentence says why and what to change. Exit code 2."""


@dataclass(frozen=True)
class Run:
    """What one run is made of: its folder, its environment, its ports."""

    state: Path
    environment: dict[str, str]
    http_port: int
    https_port: int
    status_port: int
    config: Config | None  # of the panel; None on a machine that only has an agent
    authority: TestAuthority | None = None  # None when it is switched off or not installed

    @property
    def agent_state(self) -> Path:
        """The agent's folder."""
        return Path(self.environment["AGENT_STATE_DIR"])

    @property
    def panel_url(self) -> str:
        """Where this machine's browser finds the panel."""
        if self.config is None:
            return self.environment.get("AGENT_PANEL_URL", "")
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.config.host, self.config.host)  # noqa: S104 - compared
        return f"http://{host}:{self.config.port}"

    def ports(self) -> list[Port]:
        """Every port that the children will listen on."""
        agent = [
            Port(self.http_port, "0.0.0.0", "nginx, plain HTTP", "AGENT_HTTP_PORT"),  # noqa: S104 - sites are public
            Port(self.https_port, "0.0.0.0", "nginx, HTTPS", "AGENT_HTTPS_PORT"),  # noqa: S104 - sites are public
            Port(self.status_port, "127.0.0.1", "nginx's status for the agent", "AGENT_STATUS_PORT"),
        ]
        if self.config is None:
            return agent
        return [
            Port(self.config.port, self.config.host, "the panel", "PANEL_PORT"),
            Port(self.config.stream_port, self.config.stream_host, "the agents' stream", "PANEL_STREAM_PORT"),
            Port(self.config.enroll_port, self.config.stream_host, "joining of agents", "PANEL_ENROLL_PORT"),
            *agent,
            *(self.authority.ports() if self.authority else []),
        ]


def read_run(state: Path, agent_only: bool) -> Run:
    """The run that the arguments and the environment ask for. Raises Refusal for what cannot be used."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    environment.setdefault("PANEL_STATE_DIR", str(state / "panel"))
    environment.setdefault("AGENT_STATE_DIR", str(state / "agent"))
    environment.setdefault("LETSENCRYPT_DIR", str(state / "letsencrypt"))
    environment.setdefault("PANEL_BUNDLED_AGENT", "local")
    http_port = _port(environment, "AGENT_HTTP_PORT", 7880)
    https_port = _port(environment, "AGENT_HTTPS_PORT", 7443)
    status_port = _port(environment, "AGENT_STATUS_PORT", 7803)
    nginx = find_program(environment.get("AGENT_NGINX_BINARY") or "nginx")
    if nginx is None:
        raise Refusal("nginx was not found. Install it (apt-get install nginx) or name it: AGENT_NGINX_BINARY=/path")
    environment["AGENT_NGINX_BINARY"] = nginx
    try:
        config = None if agent_only else Config.from_env(environment)
    except ConfigError as error:
        raise Refusal(str(error)) from error
    authority = None if agent_only else _authority(state, environment)
    run = Run(state, environment, http_port, https_port, status_port, config, authority)
    if authority is not None:
        environment.update(authority.panel_environment())
    if config is not None:
        environment["AGENT_PANEL_URL"] = run.panel_url
        environment["AGENT_JOIN_TOKEN_FILE"] = str(config.bundled_token_file)
    return run


def _authority(state: Path, environment: dict[str, str]) -> TestAuthority | None:
    """Pebble with its ports; None when this run has none. Raises Refusal."""
    try:
        programs = find_programs() if is_wanted(environment) else None
    except ValueError as error:
        raise Refusal(str(error)) from None
    if programs is None:
        return None
    ports = ("PEBBLE_PORT", "PEBBLE_MANAGEMENT_PORT", "PEBBLE_DNS_PORT", "PEBBLE_DNS_MANAGEMENT_PORT")
    numbers = [_port(environment, name, 7804 + position) for position, name in enumerate(ports)]
    return TestAuthority(state / "pebble", *programs, *numbers)


def _port(environment: dict[str, str], name: str, default: int) -> int:
    text = environment.setdefault(name, str(default))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise Refusal(f"{name}: use a port from 1 to 65535, not {text!r}.")
    return int(text)


def lock(state: Path) -> IO[str]:
    """Holds the state folder for this run, as long as the file is open. Raises Refusal when another run holds it."""
    try:
        (state / "log").mkdir(parents=True, exist_ok=True, mode=0o700)
        file = (state / "supervisor.lock").open("a+")
    except OSError as error:
        raise Refusal(f"{state} cannot be written ({error.strerror}). Choose another folder: STATE=folder") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        raise Refusal(
            f"Waypost already runs with {state} (process {holder}). Stop that one with Ctrl-C, "
            "or start a second one in another folder and on other ports: STATE=folder PANEL_PORT=8800 …"
        ) from None
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file


def require_ports(run: Run) -> None:
    """Raises Refusal with a sentence for each port that this run cannot have."""
    if sentences := complaints(run.ports()):
        raise Refusal("\n".join(sentences))
