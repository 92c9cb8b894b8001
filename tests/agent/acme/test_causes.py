"""Causes that need a world of their own: broken zones, two address families, limits of an authority, a wrong clock.
May import: agent.acme, tests.agent.acme. Which test produces which cause stands in promises.py."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from agent.acme.failures import Context
from agent.acme.obtain import failing_as
from agent.acme.order import Authorities
from agent.acme.pace import wait
from agent.acme.spec import AcmeFailure, Challenge, Failure
from agent.dns.credential import DnsCredential
from agent.nginx.guard import Guard
from tests.agent.acme.check.world import Names, running_names, running_site
from tests.agent.acme.front import Front, running_front
from tests.agent.acme.ordering import Place, authority_of, running_place
from tests.pebble import running_pebble, running_webroot
from tests.product import UpstreamServer


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Names]:
    """BIND with a zone that is broken and one whose signatures are wrong, and BIND that looks them up and checks."""
    with running_names(tmp_path_factory.mktemp("names")) as names:
        yield names


@pytest.fixture(scope="module")
def hook() -> Iterator[DnsCredential]:
    """A provider that says yes to everything and publishes nothing."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
            """Says nothing."""

    with UpstreamServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield DnsCredential("1", "My hook", "webhook", {"url": f"http://127.0.0.1:{server.server_port}"})
        server.shutdown()


@pytest.fixture(scope="module")
def real_dns(tmp_path_factory: pytest.TempPathFactory, names: Names) -> Iterator[Place]:
    """An authority that asks the second BIND."""
    folder = tmp_path_factory.mktemp("real-dns")
    resolver = f"127.0.0.1:{names.resolver_port}"
    with (
        running_webroot(folder / "webroot") as webroot,
        running_pebble(folder / "pebble", http_port=webroot.port, dns_server=resolver) as pebble,
    ):
        authorities = Authorities(folder / "acme", webroot.folder, "waypost-tests")
        yield Place(pebble, None, webroot, folder, authorities)  # type: ignore[arg-type] # nobody tells this DNS


def by_dns(hook: DnsCredential) -> dict[str, Any]:
    return {"challenge": Challenge.DNS_01, "dns": hook, "propagation_seconds": 1}


@pytest.mark.parametrize("name", ["broken.test", "forged.test"], ids=["SERVFAIL", "DNSSEC"])
def test_name_servers_that_fail_are_met_before_anything_is_published(
    real_dns: Place, hook: DnsCredential, name: str
) -> None:
    told = real_dns.refusal(real_dns.request(name, **by_dns(hook)))
    assert told.cause == "dns_broken"
    assert name in told.sentence
    assert "SERVFAIL" in told.detail
    assert real_dns.stage == "challenge"


def test_signatures_that_only_the_authority_checks_are_told_in_its_words(
    real_dns: Place, names: Names, hook: DnsCredential
) -> None:
    """This agent asks a server that does not look at signatures; the authority's resolver does."""
    authority = authority_of(real_dns.pebble, dns_server=f"127.0.0.1:{names.owner_port}")
    told = real_dns.refusal(real_dns.request("forged.test", authority=authority, **by_dns(hook)))
    assert told.cause == "dns_broken", told.detail
    assert "unsuccessful response" in told.detail
    assert real_dns.stage == "validation"
    told = real_dns.refusal(real_dns.request("good.test", authority=authority, **by_dns(hook)))
    assert told.cause == "record_not_seen"


def test_a_provider_that_is_away_is_told_before_the_authority_looks(place: Place) -> None:
    away = DnsCredential("1", "My hook", "webhook", {"url": "http://127.0.0.1:1"})
    told = place.refusal(place.request("app.example.com", **by_dns(away)))
    assert told.cause == "dns_provider"
    assert "cannot be reached" in told.sentence
    assert place.stage == "challenge"


def test_an_ipv6_address_of_another_machine_is_tried_first(tmp_path: Path) -> None:
    """Our web server has the port on IPv4, and somebody else's on IPv6. Pebble does not say which address it reached;
    Let's Encrypt does, and the check that comes before an order finds out by itself."""
    with running_place(tmp_path) as place, running_site("::1", port=place.webroot.port) as other:
        place.dns.add_aaaa("both.example.com", "::1")
        place.dns.add_a("both.example.com", "127.0.0.1")
        told = place.refusal(place.request("both.example.com"))
        assert other.asked
        assert told.cause == "points_elsewhere"
        assert place.webroot.asked == []


LOOKS: list[tuple[str, str, str]] = [
    ("ipv6_elsewhere", "unauthorized", "2001:db8::7: Invalid response from http://app.example.com/.well-known: 404"),
    (
        "several_machines",
        "unauthorized",
        "During secondary validation: 203.0.113.7: Invalid response from http://a: 404",
    ),
    ("private_address", "dns", "no valid A records found for app.example.com; 192.168.1.5 is a private address"),
]


@pytest.mark.parametrize(("cause", "kind", "detail"), LOOKS, ids=[cause for cause, *_ in LOOKS])
def test_what_only_a_public_authority_can_see_is_told_in_its_words(
    place: Place, front: Front, cause: str, kind: str, detail: str
) -> None:
    front.fail_names(kind, detail)
    authority = authority_of(place.pebble, directory_url=front.directory_url, ca_pem=front.ca_pem)
    told = place.refusal(place.request("app.example.com", authority=authority))
    assert told.cause == cause
    assert told.names == ("app.example.com",)
    assert detail in told.detail
    assert place.stage == "validation"


LIMITS: list[tuple[str, str, str]] = [
    ("failure_limit", "rateLimited", 'too many failed authorizations (5) for "app.example.com" in the last 1h0m0s'),
    ("duplicate_limit", "rateLimited", "too many certificates (5) already issued for this exact set of identifiers"),
    ("domain_limit", "rateLimited", 'too many certificates (50) already issued for "example.com" in the last 168h0m0s'),
    ("other_limit", "rateLimited", "too many new orders (300) from this account in the last 3h0m0s"),
    ("action_required", "userActionRequired", "The terms of service have changed, agree to the new ones first"),
]


@pytest.mark.parametrize(("cause", "kind", "detail"), LIMITS, ids=[cause for cause, *_ in LIMITS])
def test_what_an_authority_refuses_to_order_is_told_with_its_moment(
    place: Place, front: Front, cause: str, kind: str, detail: str
) -> None:
    """Pebble has no limits: the front answers in its place, in Boulder's words."""
    later = (datetime.now(UTC) + timedelta(hours=34)).replace(microsecond=0)
    detail = f"{detail}, retry after {later:%Y-%m-%d %H:%M:%S} UTC: see https://letsencrypt.org/docs/rate-limits/"
    front.refuse("^/order-plz", kind, detail, 429)
    authority = authority_of(place.pebble, directory_url=front.directory_url, ca_pem=front.ca_pem)
    told = place.refusal(place.request("app.example.com", authority=authority))
    assert (told.cause, told.retry_at, told.detail) == (cause, later, detail)
    assert place.stage == "order"
    assert front.count("^/order-plz") == 1  # it is not asked again before that moment


def test_an_authority_whose_certificate_is_not_valid_yet_is_a_matter_of_the_clock(place: Place, tmp_path: Path) -> None:
    with running_front(tmp_path / "front", place.pebble, age=timedelta(days=-1)) as front:
        authority = authority_of(place.pebble, directory_url=front.directory_url, ca_pem=front.ca_pem)
        told = place.refusal(place.request("app.example.com", authority=authority))
    assert told.cause == "clock"
    assert "not yet valid" in told.detail


def test_an_authority_that_refuses_every_nonce_is_not_asked_for_ever(tmp_path: Path) -> None:
    with running_place(tmp_path, nonce_reject=100) as place:
        told = place.refusal(place.request("app.example.com"))
    assert told.cause == "nonce"


def test_what_takes_longer_than_a_question_may_is_told_as_slow() -> None:
    context = Context("Test authority", "https://acme.example/directory")
    with pytest.raises(AcmeFailure) as caught, failing_as(context, None):
        wait(Guard(time.monotonic() + 0.05), 30)
    failure: Failure = caught.value.failure
    assert failure.cause == "slow"
    assert failure.sentence == "Test authority did not finish in time."


def test_a_name_that_the_authority_offers_no_such_check_for_is_told(place: Place, front: Front) -> None:
    def take_away(document: dict[str, Any]) -> None:
        document["challenges"] = [one for one in document["challenges"] if one["type"] != "http-01"]

    front.change("^/authZ/", take_away, times=9)
    authority = authority_of(place.pebble, directory_url=front.directory_url, ca_pem=front.ca_pem)
    told = place.refusal(place.request("app.example.com", authority=authority))
    assert told.cause == "no_challenge"
    assert told.names == ("app.example.com",)
