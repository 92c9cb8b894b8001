"""Lighthouse on the five main pages as on a phone, one page at a time; and what a first and a warm visit load.
May import: benchmarks.operator, tests.{fleet,product}. Run: python -m benchmarks.lighthouse [runs [page …]]

Nothing else may run meanwhile: a second program on two cores turns 50 ms of work into seconds.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.operator import Operator
from panel.embedded.system_packages import find_program
from tests.fleet import stock
from tests.product import running_product

VERSION = "12.8.2"
AIMS = {"performance": 95, "accessibility": 100, "best-practices": 100}
PAGES = {
    "overview": "/",
    "host": "/hosts/{app}",
    "edit": "/hosts/{app}/edit",
    "certificates": "/certificates",
    "job": "/jobs/{refused}",
}
FLAGS = "--headless=new --no-sandbox --disable-gpu --disable-background-networking --disable-component-update"
STREAMS = ("/live?", "/stream?")  # they stay open and send what changes
FIRST_KB, FIRST_REQUESTS, WARM_KB = 100, 12, 8
ATTEMPTS, AGAIN = 3, "Please run Lighthouse again"  # what it says when Chromium's trace has no beginning
INSTALL = (
    f"Lighthouse {VERSION} needs Node.js 18 or newer with npx, and Chromium. On Debian: apt install nodejs npm "
    "chromium. npx then fetches Lighthouse by itself, the first time only."
)


def main(runs: int, wanted: Sequence[str]) -> int:
    """Prints the median of so many runs of each page; the exit code: 1 when an aim is missed, 2 without a tool."""
    chromium = find_program("chromium", "google-chrome")
    if not shutil.which("npx") or chromium is None:
        print(INSTALL)
        return 2
    missed = 0
    with tempfile.TemporaryDirectory() as folder, running_product(Path(folder) / "var") as product:
        operator = Operator(product)
        operator.set_up(product.setup_link)
        product.wait_online()
        fleet = stock(product)
        operator.open("/account")  # its form's token is in the session then, and pages set no cookie any more
        headers = Path(folder) / "headers.json"
        headers.write_text(json.dumps({"Cookie": operator.cookie}))
        for name in wanted:
            url = product.url + fleet.fill(PAGES[name])
            reports = [look(url, headers, Path(folder), chromium) for _ in range(runs)]
            missed += not tell(name, reports)
    return 1 if missed else 0


def look(url: str, headers: Path, folder: Path, chromium: str, *more: str) -> dict[str, Any]:
    """One run of Lighthouse, as JSON. Raises RuntimeError with its own words."""
    report = folder / "report.json"
    command = [
        *("npx", "--yes", f"lighthouse@{VERSION}", url, "--quiet", "--output=json", f"--output-path={report}"),
        *(f"--extra-headers={headers}", f"--only-categories={','.join(AIMS)}", f"--chrome-flags={FLAGS}", *more),
    ]
    for _ in range(ATTEMPTS):
        done = subprocess.run(command, env={**os.environ, "CHROME_PATH": chromium}, capture_output=True, text=True)
        if AGAIN not in done.stderr:
            break
    if done.returncode:
        raise RuntimeError(f"Lighthouse: {done.stderr.strip()[-1500:]}\n{INSTALL}")
    found: dict[str, Any] = json.loads(report.read_text())
    if found["finalDisplayedUrl"] != url:
        raise RuntimeError(f"{url} led to {found['finalDisplayedUrl']}")
    return found


def tell(name: str, reports: list[dict[str, Any]]) -> bool:
    """Prints the scores, what was loaded and what cost points; whether every aim is met."""
    scores = {
        key: statistics.median(round(100 * report["categories"][key]["score"]) for report in reports) for key in AIMS
    }
    requests = loaded(reports[0])
    streams = [one for one in requests if any(sign in one["url"] for sign in STREAMS)]
    warm = [one for one in requests if one["resourceType"] == "Document" or one in streams]
    size, page, told = (sum(one["transferSize"] for one in group) / 1024 for group in (requests, warm, streams))
    words = ", ".join(f"{key} {scores[key]:.0f} (aim: {aim})" for key, aim in AIMS.items())
    print(f"{name}: {words}")
    print(f"  first visit {size:.0f} KB (aim: at most {FIRST_KB}), {len(requests)} requests (aim: {FIRST_REQUESTS})")
    print(f"  warm page {page:.1f} KB (aim: at most {WARM_KB}), {told:.1f} KB of it by its stream", flush=True)
    for title in sorted({lost for report in reports for lost in losses(report)}):
        print(f"  costs points: {title}")
    is_small = size <= FIRST_KB and len(requests) <= FIRST_REQUESTS and page <= WARM_KB
    return is_small and all(scores[key] >= aim for key, aim in AIMS.items())


def loaded(report: dict[str, Any]) -> list[dict[str, Any]]:
    """Every request of one run, with its size over the wire."""
    items: list[dict[str, Any]] = report["audits"]["network-requests"]["details"]["items"]
    return [{"resourceType": "", "transferSize": 0, **item} for item in items]


def losses(report: dict[str, Any]) -> list[str]:
    """The audits that have a weight and are not fully met."""
    weighed = {
        ref["id"] for category in report["categories"].values() for ref in category["auditRefs"] if ref["weight"]
    }
    audits = report["audits"]
    return [
        f"{audits[id_]['title']} {audits[id_].get('displayValue', '')}".strip()
        for id_ in weighed
        if audits[id_]["score"] is not None and audits[id_]["score"] < 0.9
    ]


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 3, sys.argv[2:] or list(PAGES)))
