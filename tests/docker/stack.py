"""The compose file as a person starts it, under names and ports of its own.
May import: tests.docker.{engine,visitor}, tests.{pebble,product}, panel.embedded."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.docker.engine import BASE, docker, has_image
from tests.docker.visitor import Visitor
from tests.pebble import make_certificate
from tests.product import ROOT, free_ports, wait_until

VERSION = "test"
PEBBLE = "waypost-test/pebble"
SHOP = "shop.example.test"
_OVERRIDE = f"""
services:
  panel:
    environment:
      PANEL_ACME_DIRECTORY: https://pebble:14000/dir
      PANEL_ACME_CA_FILE: /authority/server.pem
    volumes: ["${{AUTHORITY}}:/authority:ro"]
  nginx:
    networks:
      waypost:
        aliases: [{SHOP}]
  pebble:
    image: {PEBBLE}
    command: ["pebble", "-config", "/authority/pebble.json"]
    environment: {{PEBBLE_VA_NOSLEEP: "1"}}
    volumes: ["${{AUTHORITY}}:/authority:ro"]
    networks: [waypost]
"""


def make_images(host: str) -> None:
    """Both images from the Dockerfile, and Pebble from Debian's package."""
    for target in ("panel", "agent"):
        tag = f"waypost/{target}:{VERSION}"
        docker(host, "build", "--network", "host", "--target", target, "-t", tag, str(ROOT))
    if not has_image(host, PEBBLE):
        install = "apt-get update && apt-get install -y --no-install-recommends pebble && rm -rf /var/lib/apt/lists/*"
        docker(host, "build", "--network", "host", "-t", PEBBLE, "-", text=f"FROM {BASE}\nRUN {install}\n")


@dataclass
class Stack:
    """One project of docker-compose. `socket` is what the agent gets as Docker's socket."""

    host: str
    project: str
    folder: Path
    socket: str = ""
    ports: list[int] = field(default_factory=lambda: free_ports(3))
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.http_port, self.https_port, self.panel_port = self.ports
        self.socket = self.socket or self.host.removeprefix("unix://")
        authority = self.folder / "authority"
        authority.mkdir(parents=True)
        make_certificate(authority, "pebble")
        listen = {"listenAddress": "0.0.0.0:14000", "managementListenAddress": "0.0.0.0:15000"}
        files = {"certificate": "/authority/server.pem", "privateKey": "/authority/server.key"}
        settings = {**listen, **files, "httpPort": 80, "tlsPort": 443, "ocspResponderURL": ""}
        (authority / "pebble.json").write_text(json.dumps({"pebble": settings}))
        for path in (authority, *authority.iterdir()):
            path.chmod(0o755)
        (self.folder / "override.yaml").write_text(_OVERRIDE)

    @property
    def nginx(self) -> str:
        """The name of nginx's container."""
        return f"{self.project}-nginx"

    @property
    def network(self) -> str:
        """The network of the three."""
        return f"{self.project}_waypost"

    @property
    def url(self) -> str:
        """The panel's address."""
        return f"http://127.0.0.1:{self.panel_port}"

    def compose(self, *arguments: str, check: bool = True) -> str:
        """What it printed. The older program and the newer plugin take the same words."""
        files = ("-f", str(ROOT / "compose.yaml"), "-f", str(self.folder / "override.yaml"))
        command = [*compose_command(), "-p", self.project, "--project-directory", str(ROOT), *files, *arguments]
        done = subprocess.run(command, env=self._environment(), capture_output=True, text=True, timeout=300)
        assert not check or done.returncode == 0, f"{arguments}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout

    def up(self) -> Stack:
        """Starts what does not run, and returns when the panel answers."""
        self.compose("up", "-d", "--no-build")
        return self

    def down(self, *arguments: str) -> None:
        """Removes the containers; with "-v" the volumes too."""
        self.compose("down", "--remove-orphans", "-t", "5", *arguments)

    def setup_link(self) -> str:
        """As a person finds it: in the panel's log."""

        def found() -> str:
            match = re.search(r"https?://\S+/setup\S*", self.logs("panel"))
            return match[0] if match else ""

        link: str = wait_until(found, "the setup link is in the panel's log", 60)
        return link

    def logs(self, service: str) -> str:
        """What a service printed."""
        return self.compose("logs", "--no-color", service)

    def container(self, service: str) -> str:
        """The id of a service's container."""
        return self.compose("ps", "-q", service).strip()

    def visitor(self) -> Visitor:
        """A person who has not logged in."""
        return Visitor(self.url)

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "DOCKER_HOST": self.host,
            "DOCKER_SOCKET": self.socket,
            "WAYPOST_VERSION": VERSION,
            "NGINX_CONTAINER": self.nginx,
            "HTTP_PORT": str(self.http_port),
            "HTTPS_PORT": str(self.https_port),
            "PANEL_PORT": str(self.panel_port),
            "AUTHORITY": str(self.folder / "authority"),
            **self.environment,
        }


def compose_command() -> list[str]:
    """`docker compose` where there is that plugin, else docker-compose."""
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True)
    if plugin.returncode == 0:
        return ["docker", "compose"]
    program = shutil.which("docker-compose")
    assert program, "neither docker compose nor docker-compose is installed"
    return [program]
