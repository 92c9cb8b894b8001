"""nginx starts from disk: what must hold after every fault.
May import: tests.agent.conftest."""

from __future__ import annotations

import subprocess

from tests.agent.conftest import Bench, wait_for


def assert_starts_from_disk(bench: Bench, **answers: str) -> None:
    """`nginx -t` takes `current`, and a cold start serves these answers (by name, `_` for the dot)."""
    bench.stop()
    wait_for(lambda: not is_anybody_listening(bench))
    test = subprocess.run(["nginx", "-t", "-c", str(bench.layout.conf)], capture_output=True, text=True, timeout=30)
    assert test.returncode == 0, test.stderr
    bench.start()
    for name, answer in answers.items():
        assert bench.get(name.replace("_", ".")) == (200, answer)


def is_anybody_listening(bench: Bench) -> bool:
    return bool(bench.nginx.revision())
