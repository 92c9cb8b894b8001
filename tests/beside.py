"""Runs all tests in groups beside each other, because they mostly wait for real processes: `make test`.
May import: the standard library only."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

# In the order in which they begin; those that wait for seconds do not begin together. Each folder or file is in the
# group that names it, or a folder above it that no other group names.
GROUPS: dict[str, tuple[str, ...]] = {
    "rest": ("tests",),
    "pages": ("tests/panel/web",),
    "faults": ("tests/faults", "tests/embedded"),
    "acme": ("tests/agent/acme",),
    "agent": ("tests/agent",),
    "e2e": ("tests/e2e",),
    "certificates": ("tests/agent/certificates", "tests/agent/dns"),
}
AT_ONCE = 4  # more would make two cores so slow that what waits for seconds gives up
APART = ("tests/docker", "tests/newer", "tests/e2e/test_pages.py")  # targets of their own
MEMORY, ROOM = Path("/dev/shm"), 4 << 30  # bytes that all groups together may need
_COUNTS = re.compile(r"(\d+) (passed|failed|errors?|skipped)")


@dataclass(frozen=True)
class Report:
    """How a group ended: pytest's exit code, what it printed, and after how many seconds."""

    name: str
    code: int
    output: str
    seconds: float

    def count(self, *words: str) -> int:
        """The sum of pytest's own counts in its last line."""
        last = self.output.rstrip().rpartition("\n")[2]
        return sum(int(number) for number, word in _COUNTS.findall(last) if word.rstrip("s") in words)


def arguments(name: str) -> list[str]:
    """What pytest is called with for a group."""
    own = GROUPS[name]
    others = [*APART, *(folder for group, folders in GROUPS.items() if group != name for folder in folders)]
    inside = [other for other in others if any(other.startswith(f"{folder}/") for folder in own)]
    return [*own, *(word for folder in inside for word in ("--ignore", folder))]


def environment() -> dict[str, str]:
    """With folders of tests in memory, where there is room and programs may be started: each commit of a database and
    each journal waits for a disk, which proves nothing here."""
    try:
        facts = os.statvfs(MEMORY)
    except OSError:
        return dict(os.environ)
    is_good = not facts.f_flag & os.ST_NOEXEC and facts.f_bavail * facts.f_frsize > ROOM
    return {**({"PYTEST_DEBUG_TEMPROOT": str(MEMORY)} if is_good else {}), **os.environ}


def run(name: str, logs: Path) -> Report:
    """Runs one group to its end; its output is in a file meanwhile."""
    log, began_at = logs / f"tests-{name}.log", time.monotonic()
    with log.open("wb") as file:
        command = [sys.executable, "-m", "pytest", "--durations=5", *arguments(name)]
        code = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, env=environment()).returncode
    return Report(name, code, log.read_text(errors="replace"), time.monotonic() - began_at)


def main(logs: Path) -> int:
    """Prints each group's output when it ends, and at last what all of them counted; the exit code."""
    logs.mkdir(parents=True, exist_ok=True)
    reports = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for future in as_completed([pool.submit(run, name, logs) for name in GROUPS]):
            report = future.result()
            reports.append(report)
            print(
                f"{report.output}\n--- {report.name}: exit code {report.code} after {report.seconds:.0f} s", flush=True
            )
    passed = sum(report.count("passed") for report in reports)
    failed = sum(report.count("failed", "error") for report in reports)
    skipped = sum(report.count("skipped") for report in reports)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return max(report.code for report in reports)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
