"""Only for `make test-newer`: it fetches packages, and repeats tests that ran with the machine's own nginx."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.newer.debian import Unavailable, newer_nginx
from tests.product import ROOT

collect_ignore_glob = [] if os.environ.get("TEST_NEWER") else ["test_*.py"]


@pytest.fixture(scope="session")
def newer() -> dict[str, str]:
    """The environment of a program for which `nginx` is the newer one."""
    try:
        folder = newer_nginx(Path(os.environ.get("NEWER_CACHE") or ROOT / "var" / "newer"))
    except Unavailable as reason:
        pytest.skip(f"There is no newer nginx here: {reason}.")
    return {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
