"""What Waypost costs: seconds from a clean clone to the setup link, memory after start, bytes of the first page; and
what the test authority adds.
May import: benchmarks.operator, tests.product, psutil. Run: python -m benchmarks.footprint"""

from __future__ import annotations

import gzip
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.operator import NAME, PASSWORD, Operator
from tests.product import PORTS, ROOT, Product, fetch, free_ports, running_product

_ASSET = re.compile(r'(?:href|src)="(/static/[^"#]+)')


def main() -> None:
    """Prints them; the clone is made of what is committed."""
    with tempfile.TemporaryDirectory() as folder:
        report_start(Path(folder))
        print(f"clean clone to setup link: {time_to_setup_link(Path(folder)):.1f} s (aim: at most 180 s)", flush=True)
        with running_product(Path(folder) / "var") as product:
            product.wait_online()
            time.sleep(5)  # what is only needed at start has been given back
            report_memory(product, "after start")
            report_authority(product)
            report_first_page(product)
            use(product)
            report_memory(product, "after use")


def time_to_setup_link(folder: Path) -> float:
    """Clone, `make run`, until the link is printed; in seconds. nginx is there already when this machine has it."""
    ports = [f"{name}={port}" for name, port in zip(PORTS, free_ports(len(PORTS)), strict=True)]
    began = time.monotonic()
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder / "clone")], check=True)
    command = ["make", "run", f"PYTHON={base_python()}", "WAYPOST_VENV=.venv", *ports]
    process = subprocess.Popen(command, cwd=folder / "clone", stdout=subprocess.PIPE, text=True)
    if process.stdout is None:
        raise RuntimeError("no output")
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if "/setup?token=" in line:
            took = time.monotonic() - began
            process.terminate()
            process.communicate()
            return took
    raise RuntimeError("no setup link:\n" + "".join(lines))


def report_start(folder: Path) -> None:
    """Seconds until everything runs, with a test authority and without, in turn; the first start warms the disk."""
    seconds: dict[str, list[float]] = {"on": [], "off": []}
    for number, switch in enumerate(("off", "on", "off", "on", "off", "on", "off")):
        began = time.monotonic()
        with running_product(folder / f"start-{number}", WAYPOST_TEST_AUTHORITY=switch):
            if number:
                seconds[switch].append(time.monotonic() - began)
    with_it, without = (statistics.median(seconds[switch]) for switch in ("on", "off"))
    print(f"start on an empty folder: {without:.1f} s, with a test authority {with_it:.1f} s", flush=True)


def report_authority(product: Product) -> None:
    """Resident memory of Pebble and its name server, in MiB."""
    sizes = [_measure(product.child(name))[0] for name in ("pebble", "names")]
    print(f"test authority: Pebble {sizes[0]:.0f} MiB, its name server {sizes[1]:.0f} MiB", flush=True)


def base_python() -> str:
    """The Python that this virtual environment was made with."""
    return shutil.which("python3", path=f"{sys.base_prefix}/bin") or sys.executable


def use(product: Product) -> None:
    """An administrator logs in a few times, saves and applies hosts and reads all lists."""
    operator = Operator(product)
    operator.set_up(product.setup_link)
    for _ in range(5):
        again = Operator(product)
        again.open("/login")
        again.post("/login", username=NAME, password=PASSWORD)
    agent_id = product.query("SELECT id FROM agent")[0][0]
    for number in range(20):
        operator.open("/hosts/new")
        operator.save_host("/hosts/new", agent_id, f"site-{number}.example.test", 9, "save" if number % 5 else "apply")
    for _ in range(50):
        for address in ("/", "/hosts", "/hosts/1/edit", "/agents", "/jobs"):
            operator.open(address)


def report_memory(product: Product, when: str) -> None:
    """Resident memory of each process, in MiB; nginx with its workers. In brackets the shares (PSS): libraries that
    several processes have mapped count once."""
    sizes = {name: _measure(product.child(name)) for name in ("panel", "agent", "nginx")}
    words = ", ".join(f"{name} {rss:.0f} MiB ({pss:.0f})" for name, (rss, pss) in sizes.items())
    both = sizes["panel"][0] + sizes["agent"][0]
    aim = " (aim: at most 160 MiB)" if when == "after start" else ""
    print(f"memory {when}: {words}; panel and agent together {both:.0f} MiB{aim}", flush=True)


def _measure(process: psutil.Process) -> tuple[float, float]:
    """RSS and PSS of a process and its children, in MiB."""
    found = [each.memory_full_info() for each in (process, *process.children(recursive=True))]
    return sum(one.rss for one in found) / (1 << 20), sum(one.pss for one in found) / (1 << 20)


def report_first_page(product: Product) -> None:
    """The setup page and all that it names, as it comes over the wire; fonts are named by the style sheet."""
    port = product.ports["PANEL_PORT"]
    page = fetch(port, path=product.setup_link.partition(str(port))[2])
    packed = {"Accept-Encoding": "gzip"}
    answers = [fetch(port, path=name, headers=packed) for name in set(_ASSET.findall(page.body))]
    sizes = [len(gzip.compress(page.body.encode())), *(int(answer.headers["Content-Length"]) for answer in answers)]
    print(f"first page: {sum(sizes) / 1024:.0f} KB gzip in {len(sizes)} requests (aim: at most 100 KB in 12)")


if __name__ == "__main__":
    main()
