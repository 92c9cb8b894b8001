"""An order in a process of its own, which a failpoint kills: python -m tests.agent.acme.killed_order <arguments>
May import: agent, tests.agent.acme."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from agent import failpoints
from agent.acme.order import Authorities, OrderRequest
from agent.acme.spec import Authority, CertificateSpec
from agent.nginx.guard import Guard
from agent.output import Output
from tests.agent.acme.ordering import Place, authority_of

ROOT = Path(__file__).resolve().parents[3]


class FileLog:
    """The address of the order in a file, as the agent's store keeps it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def order_made(self, url: str) -> None:
        self.path.write_text(url)


def order_and_die(
    place: Place, name: str, key: str, failpoint: str, authority: Authority | None = None, order_url: str = ""
) -> tuple[int, str]:
    """Orders until the failpoint kills the process; its exit status and the address of the order that it left."""
    path = place.folder / "order-url"
    authority = authority or authority_of(place.pebble)
    known = [authority.id, authority.label, authority.directory_url, "", authority.ca_pem]
    arguments = json.dumps(
        [str(place.folder), str(place.webroot.folder), known, name, key, failpoint, order_url, str(path)]
    )
    command = [sys.executable, "-m", "tests.agent.acme.killed_order"]
    done = subprocess.run(command, input=arguments, cwd=ROOT, env=os.environ, timeout=60, text=True)
    return done.returncode, path.read_text()


def main(arguments: str) -> None:
    """What the process does."""
    folder, webroot, known, name, key, failpoint, order_url, path = json.loads(arguments)
    authority = replace(Authority(*known), is_test=True)
    engine = Authorities(Path(folder) / "acme", Path(webroot), "waypost-tests")
    spec = CertificateSpec(name=name, names=(name,), authorities=(authority,))
    failpoints.arm(failpoint)
    output = Output("c1", None, lambda _: None)
    request = OrderRequest(spec, authority, key, order_url=order_url)
    engine.obtain(request, FileLog(Path(path)), output, Guard(time.monotonic() + 60))


if __name__ == "__main__":
    main(sys.stdin.read())
