"""What an agent adds to nginx's own reload, with plain hosts and hosts with a certificate: apply → served / HUP alone.
May import: agent, panel.nginx, benchmarks.parse. Run: python -m benchmarks.engine [hosts …]"""

from __future__ import annotations

import hashlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.config import AgentConfig
from agent.journal import Journal
from agent.nginx.apply import Applier
from agent.nginx.bundle import Bundle, BundleFile, revision_of
from agent.nginx.controller import LocalNginx
from agent.nginx.guard import Guard
from agent.nginx.layout import Layout
from agent.nginx.setup import prepare
from agent.output import Output
from benchmarks.parse import Place, addresses, make_certificates, our_files

ROUNDS = 7


@dataclass(frozen=True)
class Contents:
    """What the panel would have sent."""

    known: dict[str, bytes]

    def fetch(self, sha256s: Sequence[str], _guard: Guard) -> dict[str, bytes]:
        """All of them are here."""
        return {sha256: self.known[sha256] for sha256 in sha256s}


def main(sizes: list[int]) -> None:
    """One row for each size, plain and with TLS."""
    print(f"medians of {ROUNDS} in turns\n{'hosts':>6} {'':<6} {'apply to served':>16} {'HUP alone':>12} {'ratio':>6}")
    for size in sizes:
        for tls in (False, True):
            with tempfile.TemporaryDirectory() as name:
                Path(name).chmod(0o755)
                measure(Path(name), size, tls=tls)


def measure(folder: Path, size: int, *, tls: bool) -> None:
    """Prints one row: an agent's engine beside an nginx of its own."""
    make_certificates(folder / "live", size)
    facts, status_port = addresses()
    place = Place(folder / "files", facts, status_port, tls)
    config = AgentConfig(
        folder / "agent",
        http_port=facts.http_port,
        https_port=facts.https_port,
        status_port=status_port,
        letsencrypt_dir=folder,
    )
    prepare(config)
    layout, journal = Layout(config.nginx_dir), Journal(config.journal_path)
    nginx = LocalNginx(config, layout)
    applier = Applier(config, layout, nginx, journal)
    process = subprocess.Popen(["nginx", "-c", str(layout.conf), "-g", "daemon off;"], stderr=subprocess.DEVNULL)
    try:
        wait_for(nginx, "none")
        texts = dict(our_files(place, size))
        spent, floors = [], []
        for turn in range(ROUNDS + 1):
            path = next(path for path in texts if path.startswith("hosts/"))
            texts[path] = (
                texts[path]
                .replace("keepalive 8;", f"keepalive {turn + 10};")
                .replace(f"keepalive {turn + 9};", f"keepalive {turn + 10};")
            )
            spent.append(apply(applier, nginx, journal, texts))
            floors.append(only_a_hup(nginx, layout))
        apply_time, floor = statistics.median(spent[1:]), statistics.median(floors[1:])
        kind = "TLS" if tls else "plain"
        print(f"{size:>6} {kind:<6} {1000 * apply_time:>13.0f} ms {1000 * floor:>9.0f} ms {apply_time / floor:>6.2f}")
    finally:
        process.terminate()
        process.wait(20)
        journal.close()


def apply(applier: Applier, nginx: LocalNginx, journal: Journal, texts: dict[str, str]) -> float:
    """Seconds until the revision endpoint answers the new revision; returns when the apply has ended."""
    contents = {hashlib.sha256(text.encode()).hexdigest(): text.encode() for text in texts.values()}
    files = tuple(
        BundleFile(path, hashlib.sha256(text.encode()).hexdigest(), len(text.encode())) for path, text in texts.items()
    )
    bundle = Bundle(revision_of(files), files)
    journal.accept(bundle.revision, 1, "apply_config", bundle.revision, b"")
    output = Output(bundle.revision, journal, lambda _: None)
    guard, problems = Guard(time.monotonic() + 120), list[str]()

    def run() -> None:
        problems.append(applier.apply(bundle.revision, bundle, Contents(contents), output, guard).error)

    began = time.perf_counter()
    thread = threading.Thread(target=run)
    thread.start()
    wait_for(nginx, bundle.revision)
    took = time.perf_counter() - began
    thread.join()
    output.close()
    if problems != [""]:
        raise RuntimeError(str(problems))
    wait_quiet(nginx)
    return took


def only_a_hup(nginx: LocalNginx, layout: Layout) -> float:
    """The time of nginx itself, in seconds: another word at the revision endpoint and a HUP, until it is answered."""
    before = layout.conf.read_text()
    revision = nginx.revision()
    layout.conf.write_text(before.replace(f'return 200 "{revision}"', 'return 200 "floor"'))
    began = time.perf_counter()
    nginx.reload()
    wait_for(nginx, "floor")
    took = time.perf_counter() - began
    layout.conf.write_text(before)
    wait_quiet(nginx)
    nginx.reload()
    wait_for(nginx, revision)
    wait_quiet(nginx)
    return took


def wait_for(nginx: LocalNginx, revision: str) -> None:
    """Until the endpoint answers this."""
    deadline = time.monotonic() + 60
    while nginx.revision() != revision:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{revision} was not served within 60 s")
        time.sleep(0.001)


def wait_quiet(nginx: LocalNginx) -> None:
    """Until old workers have ended."""
    while nginx.processes().leaving:
        time.sleep(0.01)
    time.sleep(0.2)


if __name__ == "__main__":
    main([int(text) for text in sys.argv[1:]] or [500, 1000])
