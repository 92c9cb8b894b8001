"""Names shown by DNS: wildcards, two values at one name, and records that are taken away in every case.
May import: agent.acme, tests.agent.acme. The provider is a webhook that writes into the test authority's DNS."""

from __future__ import annotations

import dataclasses
import json
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from agent.acme.answers import Answer
from agent.acme.dns01 import record_of
from agent.acme.spec import Challenge
from agent.dns.credential import DnsCredential
from agent.errors import Cancelled
from agent.nginx.guard import Guard
from tests.agent.acme.front import Front
from tests.agent.acme.killed_order import order_and_die
from tests.agent.acme.ordering import Place, authority_of, names_of, new_key
from tests.challtestsrv import Challtestsrv
from tests.product import UpstreamServer, wait_until


@dataclass
class Hook:
    """A DNS provider of one's own. `records` are what stands there now, `status` what it answers."""

    port: int
    dns: Challtestsrv
    records: list[tuple[str, str]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    status: int = 200
    lies: bool = False

    @property
    def credential(self) -> DnsCredential:
        return DnsCredential("1", "My hook", "webhook", {"url": f"http://127.0.0.1:{self.port}"})

    def do(self, verb: str, name: str, value: str) -> None:
        self.calls.append(verb)
        if self.status != 200 or self.lies:
            return
        record = (name, value)
        if verb == "present":
            if record not in self.records:
                self.records.append(record)
                self.dns.set_txt(name, value)
            return
        self.records.remove(record)
        self.dns.clear_txt(name)
        for left, text in self.records:
            if left == name:
                self.dns.set_txt(left, text)


@pytest.fixture
def hook(place: Place) -> Iterator[Hook]:
    hook = Hook(0, place.dns)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            hook.do(self.path.strip("/"), said["fqdn"], said["value"])
            self.send_response(hook.status)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
            """Says nothing."""

    with UpstreamServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        hook.port = int(server.server_port)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield hook
        server.shutdown()


@pytest.fixture
def by_dns(hook: Hook) -> dict[str, Any]:
    """What makes an order one by DNS."""
    return {"challenge": Challenge.DNS_01, "dns": hook.credential, "propagation_seconds": 1}


def test_the_value_of_the_record_is_that_of_the_rfc() -> None:
    """Made with openssl: printf %s token.thumbprint | openssl dgst -sha256 -binary | basenc --base64url."""
    record = record_of(Answer("Example.com", "token", "token.thumbprint"))
    assert (record.name, record.value) == (
        "_acme-challenge.example.com",
        "61rBZ_4knHblO0MNoxFsXZ_eTFUHum0B6IVRbhvUn5I",
    )


def test_a_name_and_its_wildcard_are_shown_by_two_values(place: Place, hook: Hook, by_dns: dict[str, Any]) -> None:
    issued = place.issue("example.com", "*.example.com", **by_dns)
    assert names_of(issued) == {"example.com", "*.example.com"}
    assert hook.calls == ["present", "present", "cleanup", "cleanup"]
    assert hook.records == []
    assert place.stages == ["order", "challenge", "validation", "issued", "cleanup"]
    assert place.tokens() == []


def test_the_name_servers_are_asked_before_the_authority_looks(
    place: Place, hook: Hook, by_dns: dict[str, Any]
) -> None:
    issued = place.issue("asked.example.com", **{**by_dns, "propagation_seconds": 0})
    assert names_of(issued) == {"asked.example.com"}
    assert hook.records == []


def test_a_record_that_nobody_sees_fails_as_such_and_is_taken_away(
    place: Place, hook: Hook, by_dns: dict[str, Any]
) -> None:
    hook.lies = True
    told = place.refusal(place.request("unseen.example.com", **by_dns))
    assert told.cause == "record_not_seen"
    assert "_acme-challenge.unseen.example.com" in told.sentence
    assert place.stage == "validation"
    assert hook.calls == ["present", "cleanup"]


def test_a_provider_that_refuses_ends_the_order_before_the_authority_is_asked(
    place: Place, hook: Hook, by_dns: dict[str, Any]
) -> None:
    hook.status = 403
    told = place.refusal(place.request("refused.example.com", **by_dns))
    assert told.cause == "dns_credential"
    assert place.stage == "challenge"
    assert "POST /chalZ/" not in place.pebble.log.rpartition("POST /order-plz")[2]


def test_a_cancelled_order_takes_its_records_away(place: Place, hook: Hook, by_dns: dict[str, Any]) -> None:
    guard, ended = Guard(time.monotonic() + 60), list[BaseException]()

    def run() -> None:
        try:
            place.obtain(place.request("cancelled.example.com", **{**by_dns, "propagation_seconds": 60}), guard)
        except Cancelled as cancelled:
            ended.append(cancelled)

    thread = threading.Thread(target=run)
    thread.start()
    wait_until(lambda: hook.records, "the record is there")
    guard.cancelled.set()
    thread.join(20)
    assert len(ended) == 1
    assert hook.records == []
    assert place.stages[-1] == "cleanup"


@pytest.mark.parametrize("point", ["challenge_placed", "challenge_answered", "validated", "finalized"])
def test_a_killed_agent_takes_its_records_away_when_it_goes_on(
    place: Place, hook: Hook, by_dns: dict[str, Any], point: str
) -> None:
    key, before = new_key(), place.pebble.issued()
    code, url = order_and_die(place, f"{point[:4]}.example.com", key, f"acme:{point}", dns=hook.credential)
    assert code == -signal.SIGKILL
    assert len(hook.records) == 1
    again = place.again()
    again.obtain(again.request(f"{point[:4]}.example.com", key=key, order_url=url, **by_dns))
    assert hook.records == []
    assert place.pebble.issued() - before == 1


def test_a_killed_agent_takes_its_records_away_also_when_its_order_is_of_no_use(
    place: Place, hook: Hook, by_dns: dict[str, Any], front: Front
) -> None:
    authority = authority_of(place.pebble, directory_url=front.directory_url, ca_pem=front.ca_pem)
    key = new_key()
    code, url = order_and_die(place, "late.example.com", key, "acme:challenge_placed", authority, dns=hook.credential)
    assert code == -signal.SIGKILL
    assert len(hook.records) == 1
    front.change("^/my-order/", lambda document: document.update(expires="2026-01-01T00:00:00Z"))
    again = place.again()
    again.obtain(again.request("late.example.com", key=key, order_url=url, authority=authority, **by_dns))
    assert "of no use any more" in again.text
    assert hook.records == []


def test_an_order_by_dns_needs_a_credential(place: Place) -> None:
    told = place.refusal(place.request("app.example.com", challenge=Challenge.DNS_01))
    assert told.cause == "dns_credential"


def test_the_value_of_a_credential_is_in_no_output(place: Place, hook: Hook, by_dns: dict[str, Any]) -> None:
    secret = "hunter2-hunter2"
    fields = {**hook.credential.fields, "username": "me", "password": secret}
    credential = dataclasses.replace(hook.credential, fields=fields)
    hook.status = 401
    told = place.refusal(place.request("secret.example.com", **{**by_dns, "dns": credential}))
    assert secret not in place.text + repr(told) + repr(credential)
