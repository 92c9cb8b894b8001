"""Certificates from a local Pebble: the agent's engine beside certbot and lego, many at once, memory, refused nonces.
May import: agent.acme, tests.agent.acme, tests.pebble. Run: python -m benchmarks.certificates [one twenty many nonces]

certbot and lego are taken from PATH, or from the variables CERTBOT and LEGO; what is missing is left out.
"""

from __future__ import annotations

import itertools
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from agent.acme.spec import AcmeFailure
from tests.agent.acme.ordering import Place, at_once, running_place
from tests.product import ROOT

ROUNDS, ROUNDS_OF_TWENTY = 9, 3
ORDERS = 200
_numbers = itertools.count()


@dataclass
class Other:
    """Another client, which is a process for each certificate. `peak` is the most memory that one took, in MiB."""

    name: str
    issue: Callable[[list[str]], list[str]]
    environment: dict[str, str]
    peak: float = 0.0

    def run(self, names: list[str]) -> float:
        """Seconds for one certificate."""
        began = time.perf_counter()
        process = subprocess.Popen(
            self.issue(names), env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        watch = threading.Thread(target=self._watch, args=(process,))
        watch.start()
        said, _ = process.communicate()
        took = time.perf_counter() - began
        watch.join()
        if process.returncode:
            raise RuntimeError(f"{self.name} failed:\n{said[-2000:]}")
        return took

    def _watch(self, process: subprocess.Popen[str]) -> None:
        """The kernel's own mark of the most memory, read while the process lives."""
        while process.poll() is None:
            self.peak = max(self.peak, peak_of(process.pid))
            time.sleep(0.02)


# What an agent's process needs for it, and nothing of this benchmark: the door, one order, and twenty at once.
_RESIDENT = """
import sys, threading, time
from pathlib import Path
from agent.acme.order import Authorities, OrderRequest
from agent.acme.spec import Authority, CertificateSpec
from agent.nginx.guard import Guard
from agent.output import Output
from agent.identity import make_request
url, ca_file, folder, webroot = sys.argv[1:]
class Log:
    def order_made(self, url): pass
def peak():
    print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")), flush=True)
engine = Authorities(Path(folder), Path(webroot), "bench")
authority = Authority("1", "Pebble", url, ca_pem=Path(ca_file).read_text(), is_test=True)
keys = [make_request().key_pem for _ in range(21)]
def issue(number):
    name = f"n{number}.memory.example.com"
    request = OrderRequest(CertificateSpec(name, (name,), (authority,)), authority, keys[number])
    engine.obtain(request, Log(), Output("c", None, print), Guard(time.monotonic() + 60))
peak()
issue(20)
peak()
threads = [threading.Thread(target=issue, args=(n,)) for n in range(20)]
[t.start() for t in threads], [t.join() for t in threads]
peak()
"""


def main(chosen: list[str]) -> None:
    """Each part has a Pebble of its own: it may lock up under load (letsencrypt/pebble#554)."""
    parts = {"one": one, "twenty": twenty, "many": many, "nonces": nonces}
    for name in chosen or list(parts):
        parts[name]()


def one() -> None:
    """One certificate of one name, in turns, so that all meet the same machine."""
    with _place() as place, _others(place) as others:
        ours(place, names(1))  # the account is made and the libraries are loaded: the agent is resident
        for other in others:
            other.run(names(1))
        spent: dict[str, list[float]] = {name: [] for name in ["Waypost", *(other.name for other in others)]}
        for _ in range(ROUNDS):
            spent["Waypost"].append(ours(place, names(1)))
            for other in others:
                spent[other.name].append(other.run(names(1)))
        table(f"one certificate, medians of {ROUNDS} in turns", spent)
        for other in others:
            print(f"  peak memory of {other.name}: {other.peak:.0f} MiB")


def twenty() -> None:
    """One certificate of twenty names. lego is asked once: it checks one name after the other."""
    with _place() as place, _others(place) as others:
        ours(place, names(1))
        spent: dict[str, list[float]] = {name: [] for name in ["Waypost", *(other.name for other in others)]}
        for turn in range(ROUNDS_OF_TWENTY):
            spent["Waypost"].append(ours(place, names(20)))
            for other in others:
                if other.name != "lego" or not turn:
                    spent[other.name].append(other.run(names(20)))
        table(f"one certificate of 20 names, medians of {ROUNDS_OF_TWENTY} in turns", spent)


def many() -> None:
    """Twenty certificates at once, and what the process needs for them."""
    with _place() as place:
        ours(place, names(1))
        began = time.perf_counter()
        places = [place.again() for _ in range(20)]
        for mine in places:
            mine.authorities = place.authorities
        results = at_once(20, lambda number: places[number].issue(*names(1)))
        took = time.perf_counter() - began
        failed = [result for result in results if isinstance(result, BaseException)]
        print(f"20 certificates at once: {took:.2f} s, {took / 20:.3f} s each, {len(failed)} failed")
        report_memory(place)


def report_memory(place: Place) -> None:
    """The peak of a process that has the engine and nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        pebble = place.pebble
        where = [pebble.directory_url, str(pebble.ca_file), folder, str(place.webroot.folder)]
        done = subprocess.run(
            [sys.executable, "-c", _RESIDENT, *where], stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT
        )
    before, first, last = (int(line) / 1024 for line in done.stdout.split())
    print(f"  peak memory: {before:.0f} MiB before the first, {first:.0f} after it, {last:.0f} after 20 more at once")


def nonces() -> None:
    """How many orders fail because the authority refuses nonces, as Pebble does with 5 % of them by default."""
    for percent, allowed in ((5, 0.0), (50, 2.0)):
        with _place(nonce_reject=percent) as place:
            failed = sum(_fails(place) for _ in range(ORDERS))
            share = 100 * failed / ORDERS
            print(f"{percent:>2} % of nonces refused: {failed} of {ORDERS} orders failed (aim: at most {allowed:g} %)")
            if share > allowed:
                raise RuntimeError(f"{share:g} % of the orders failed")


def ours(place: Place, asked: list[str]) -> float:
    """Seconds for one certificate by the resident engine."""
    began = time.perf_counter()
    place.issue(*asked)
    return time.perf_counter() - began


def names(count: int) -> list[str]:
    """Names that nobody asked for before."""
    number = next(_numbers)
    return [f"n{index}.run{number}.example.com" for index in range(count)]


def table(title: str, spent: dict[str, list[float]]) -> None:
    """Medians, and how many times ours they are."""
    ours_median = statistics.median(spent["Waypost"])
    print(title)
    for name, seconds in spent.items():
        median = statistics.median(seconds)
        spread = f"{min(seconds):.2f} to {max(seconds):.2f}"
        print(f"  {name:<8} {median:>8.3f} s  ({spread} s)  {median / ours_median:>6.1f} x", flush=True)


def _fails(place: Place) -> bool:
    try:
        place.issue(*names(1))
    except AcmeFailure as failed:
        print(f"  {failed.failure.cause}: {failed.failure.detail}")
        return True
    return False


@contextmanager
def _place(nonce_reject: int = 0) -> Iterator[Place]:
    with tempfile.TemporaryDirectory() as folder, running_place(Path(folder), nonce_reject=nonce_reject) as place:
        yield place


@contextmanager
def _others(place: Place) -> Iterator[list[Other]]:
    """The others, as far as they are here, with folders of their own and the same webroot."""
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder, trust = Path(name), str(place.pebble.ca_file)
        environment = {**os.environ, "REQUESTS_CA_BUNDLE": trust, "LEGO_CA_CERTIFICATES": trust}
        for program, make in (("certbot", _certbot), ("lego", _lego)):
            path = os.environ.get(program.upper()) or shutil.which(program)
            if path is None:
                print(f"{program} is not here and is left out: put it on PATH, or name it in {program.upper()}.")
                continue
            found.append(Other(program, make(path, place, folder), environment))
        yield found


def _certbot(path: str, place: Place, folder: Path) -> Callable[[list[str]], list[str]]:
    fixed = [path, "certonly", "--webroot", "--webroot-path", str(place.webroot.folder), "--non-interactive"]
    fixed += ["--agree-tos", "--register-unsafely-without-email", "--server", place.pebble.directory_url]
    for option in ("config", "work", "logs"):
        fixed += [f"--{option}-dir", str(folder / "certbot" / option)]
    return lambda asked: [*fixed, *itertools.chain.from_iterable(("-d", name) for name in asked)]


def _lego(path: str, place: Place, folder: Path) -> Callable[[list[str]], list[str]]:
    fixed = [path, "--server", place.pebble.directory_url, "--path", str(folder / "lego"), "--accept-tos"]
    fixed += ["--email", "bench@example.com", "--http", "--http.webroot", str(place.webroot.folder)]
    return lambda asked: [*fixed, *itertools.chain.from_iterable(("--domains", name) for name in asked), "run"]


def peak_of(pid: int) -> float:
    """The most memory that a process took so far, in MiB; 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


if __name__ == "__main__":
    main(sys.argv[1:])
