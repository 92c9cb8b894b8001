"""What Waypost costs: seconds from a clean clone to the setup link, memory after start, bytes of the first page.
May import: tests.product, psutil. Run: python -m benchmarks.footprint"""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from tests.product import PORTS, ROOT, Product, fetch, free_ports, running_product

_ASSET = re.compile(r'(?:href|src)="(/static/[^"#]+)')


def main() -> None:
    """Prints the three; the clone is made of what is committed."""
    with tempfile.TemporaryDirectory() as folder:
        print(f"clean clone to setup link: {time_to_setup_link(Path(folder)):.1f} s (aim: at most 180 s)", flush=True)
        with running_product(Path(folder) / "var") as product:
            product.wait_online()
            time.sleep(5)  # what is only needed at start has been given back
            report_memory(product)
            report_first_page(product)


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


def base_python() -> str:
    """The Python that this virtual environment was made with."""
    return shutil.which("python3", path=f"{sys.base_prefix}/bin") or sys.executable


def report_memory(product: Product) -> None:
    """Resident memory of each process, in MiB; nginx with its workers."""
    sizes = {name: _resident(product.child(name)) for name in ("panel", "agent", "nginx")}
    both = sizes["panel"] + sizes["agent"]
    print("memory after start: " + ", ".join(f"{name} {size:.0f} MiB" for name, size in sizes.items()))
    print(f"panel and agent together: {both:.0f} MiB (aim: at most 160 MiB)")


def _resident(process: psutil.Process) -> float:
    processes = [process, *process.children(recursive=True)]
    return float(sum(each.memory_info().rss for each in processes)) / (1 << 20)


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
