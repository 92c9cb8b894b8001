"""`make run` on a laptop brings its own certificate authority, and says so.
May import: tests.product."""

from __future__ import annotations

import json
import ssl
import urllib.request

from tests.product import Product, wait_until


def test_the_supervisor_starts_pebble_which_answers_its_directory_and_comes_back_when_killed(shared: Product) -> None:
    line = shared.wait_for_line("test authority at")
    url = f"https://127.0.0.1:{shared.ports['PEBBLE_PORT']}/dir"
    assert url in line
    assert f"https://127.0.0.1:{shared.ports['AGENT_HTTPS_PORT']}" in "\n".join(shared.output)
    trust = ssl.create_default_context(cafile=shared.state / "pebble" / "pebble.pem")

    def offers_orders() -> bool:
        try:
            with urllib.request.urlopen(url, context=trust, timeout=5) as answer:
                return "newOrder" in json.load(answer)
        except OSError:
            return False

    assert offers_orders()
    shared.child("pebble").kill()
    shared.wait_for_line("pebble is started again")
    wait_until(offers_orders, "the directory answers again")
