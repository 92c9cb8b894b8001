"""One Engine with its images for all container tests, and a tidy place for each.
May import: tests.docker, agent.config, agent.docker."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.config import AgentConfig
from agent.docker.engine import Engine
from tests.docker.engine import BASE, docker, make_base_image, make_nginx_image, running_engine

IMAGES = Path(os.environ.get("WAYPOST_DOCKER_ROOT", "var/test-docker")).absolute()


@pytest.fixture(scope="session")
def docker_host() -> Iterator[str]:
    """The socket of a running Engine that has the base images."""
    with running_engine(IMAGES) as host:
        make_base_image(host)
        make_nginx_image(host)
        yield host


@dataclass
class Yard:
    """Containers and networks of one test: all their names begin with one prefix, and all go at its end."""

    host: str
    prefix: str

    def name(self, word: str) -> str:
        """A name that no other test uses."""
        return f"{self.prefix}-{word}"

    def network(self, word: str, *arguments: str) -> str:
        """Makes a network; its name."""
        docker(self.host, "network", "create", "--label", self.prefix, *arguments, self.name(word))
        return self.name(word)

    def container(self, word: str, *command: str, image: str = BASE, options: tuple[str, ...] = ()) -> str:
        """Starts a container; its name. Without a command it sleeps."""
        what = command or (() if image != BASE else ("sleep", "infinity"))
        docker(
            self.host, "run", "-d", "--init", "--label", self.prefix, "--name", self.name(word), *options, image, *what
        )
        return self.name(word)

    def docker(self, *arguments: str) -> str:
        """Docker's command line; what it printed."""
        return docker(self.host, *arguments).stdout.strip()

    def clear(self) -> None:
        """Removes all of it."""
        for kind, remove in (("container", ("rm", "-f", "-v")), ("network", ("network", "rm"))):
            listed = docker(
                self.host,
                kind,
                "ls",
                *(("-a",) if kind == "container" else ()),
                "-q",
                "--filter",
                f"label={self.prefix}",
            )
            if ids := listed.stdout.split():
                docker(self.host, *remove, *ids)


@pytest.fixture
def yard(docker_host: str) -> Iterator[Yard]:
    """A place for one test's containers."""
    made = Yard(docker_host, f"wp{uuid.uuid4().hex[:8]}")
    try:
        yield made
    finally:
        made.clear()


@pytest.fixture
def config(tmp_path: Path, docker_host: str, yard: Yard) -> AgentConfig:
    """An agent whose nginx is a container that is not there yet."""
    return AgentConfig(
        state_dir=tmp_path / "agent",
        nginx_container=yard.name("nginx"),
        docker_host=docker_host,
        http_port=80,
        https_port=443,
        letsencrypt_dir=tmp_path / "letsencrypt",
    )


@pytest.fixture
def engine(docker_host: str) -> Engine:
    """The agent's own way to the Engine."""
    return Engine(docker_host)
