"""What only an nginx from 1.27.4 on can show: connections that outlive a reload, names in groups, HTTP/2 per host.
May import: tests.newer."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.product import ROOT

APPLIES = 50


def run(newer: dict[str, str], *arguments: str, seconds: float) -> str:
    """Runs Python with these arguments and the newer nginx; what it said, once it has ended well."""
    command = [sys.executable, "-m", *arguments]
    ran = subprocess.run(command, cwd=ROOT, env=newer, capture_output=True, text=True, timeout=seconds)
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-2000:]
    return ran.stdout


def test_this_nginx_has_what_is_shown_here(newer: dict[str, str]) -> None:
    said = subprocess.run(["nginx", "-v"], env=newer, capture_output=True, text=True, check=True).stderr
    version = re.search(r"nginx/(\d+)\.(\d+)\.(\d+)", said)
    assert version is not None
    assert tuple(map(int, version.groups())) >= (1, 27, 4)


def test_no_request_is_dropped_on_new_or_kept_connections_over_fifty_applies(newer: dict[str, str]) -> None:
    said = run(newer, "benchmarks.reloads", str(APPLIES), seconds=400)
    assert "with keepalive_min_timeout" in said
    assert "lost: 0 " in said
    assert "kept connections: 0 requests" not in said


def test_it_reads_and_serves_every_rendered_file(newer: dict[str, str]) -> None:
    """Golden files, names that are looked up in groups, TLS and HTTP/2: the tests of the renderer, once more."""
    said = run(newer, "pytest", "-q", "-p", "no:cacheprovider", "tests/panel/nginx", seconds=300)
    assert re.search(r"\d+ passed", said)
    assert "skipped" not in said


def test_an_agent_applies_proves_and_rolls_back_with_it(newer: dict[str, str]) -> None:
    arguments = (
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "tests/agent/nginx/test_apply.py",
        "tests/agent/nginx/test_one_parse.py",
    )
    assert re.search(r"\d+ passed", run(newer, *arguments, seconds=300))
