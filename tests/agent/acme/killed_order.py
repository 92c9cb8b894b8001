"""An order in a process of its own, which a failpoint kills: python -m tests.agent.acme.killed_order <arguments>
May import: agent, tests.agent.acme."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

from agent import failpoints
from agent.acme.order import Authorities, OrderRequest
from agent.acme.spec import Authority, CertificateSpec, Challenge
from agent.dns.credential import DnsCredential
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
    place: Place,
    name: str,
    key: str,
    failpoint: str,
    authority: Authority | None = None,
    order_url: str = "",
    dns: DnsCredential | None = None,
) -> tuple[int, str]:
    """Orders until the failpoint kills the process; its exit status and the address of the order that it left."""
    path = place.folder / "order-url"
    said = {
        "folder": str(place.folder),
        "webroot": str(place.webroot.folder),
        "authority": asdict(authority or authority_of(place.pebble)),
        "name": name,
        "key": key,
        "failpoint": failpoint,
        "order_url": order_url,
        "path": str(path),
        "dns": None if dns is None else asdict(dns),
    }
    command = [sys.executable, "-m", "tests.agent.acme.killed_order"]
    done = subprocess.run(command, input=json.dumps(said), cwd=ROOT, env=os.environ, timeout=60, text=True)
    return done.returncode, path.read_text()


def main(text: str) -> None:
    """What the process does."""
    said = json.loads(text)
    folder, authority = Path(said["folder"]), Authority(**said["authority"])
    engine = Authorities(folder / "acme", Path(said["webroot"]), "waypost-tests")
    spec = CertificateSpec(name="killed", names=(said["name"],), authorities=(authority,))
    if said["dns"]:
        credential = DnsCredential(**said["dns"])
        spec = replace(spec, challenge=Challenge.DNS_01, dns=credential, propagation_seconds=1)
    failpoints.arm(said["failpoint"])
    output = Output("c1", None, lambda _: None)
    request = OrderRequest(spec, authority, said["key"], order_url=said["order_url"])
    engine.obtain(request, FileLog(Path(said["path"])), output, Guard(time.monotonic() + 60))


if __name__ == "__main__":
    main(sys.stdin.read())
