"""Every cause, by what causes it: with a real authority where it can be had, else with its own words.
May import: agent.acme, tests.agent.acme."""

from __future__ import annotations

import base64
import errno
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from agent.acme.causes import CAUSES, list_names, say
from agent.acme.failures import Context, classify, classify_names, failure
from agent.acme.problems import BrokenOrder, NotAnAuthority, Problem, ProblemReply, Unreached
from agent.acme.rules import address_in, is_cloudflare
from agent.acme.spec import AcmeFailure
from agent.dns.spec import DnsFailure
from tests.agent.acme.front import Front, Reply, as_problem
from tests.agent.acme.ordering import Place, authority_of, new_key, running_place
from tests.pebble import newer_pebble

CONTEXT = Context("Let's Encrypt", "https://acme.example/directory", ("app.example.com",))
DNS = Context("Let's Encrypt", "https://acme.example/directory", ("app.example.com",), "dns-01")

# What a real web server answers, and the cause that Pebble's own words lead to.
ANSWERS: list[tuple[str, int, bytes, dict[str, str]]] = [
    ("points_elsewhere", 404, b"not here", {}),
    ("path_shadowed", 401, b"who are you", {"WWW-Authenticate": "Basic"}),
    ("path_shadowed", 403, b"forbidden", {}),
    ("blocked_places", 500, b"broken", {}),
    ("blocked_places", 503, b"slow down", {}),
    ("behind_cloudflare", 526, b"error code: 526", {"Server": "cloudflare"}),
    ("redirect_loop", 302, b"", {"Location": "/.well-known/acme-challenge/again"}),
    ("bad_redirect", 301, b"", {"Location": "ftp://app.example.com/token"}),
    ("bad_redirect", 301, b"", {"Location": "https://app.example.com:99999/token"}),
]


@pytest.mark.parametrize(
    ("cause", "status", "body", "headers"), ANSWERS, ids=[f"{cause}-{n}" for n, (cause, *_) in enumerate(ANSWERS)]
)
def test_what_the_web_server_answers_is_told_as_its_cause(
    place: Place, cause: str, status: int, body: bytes, headers: dict[str, str]
) -> None:
    place.webroot.answer = (status, body, headers)
    told = place.refusal(place.request("app.example.com"))
    assert told.cause == cause
    assert told.names == ("app.example.com",)
    assert told.sentence
    assert told.next_step
    assert told.detail
    assert place.stage == "validation"


@pytest.mark.parametrize("body", [b"", b"something else", b"x" * 500], ids=["empty", "other", "long"])
def test_a_web_server_that_answers_something_else_is_another_machine(place: Place, body: bytes) -> None:
    place.webroot.answer = (200, body, {})
    assert place.refusal(place.request("app.example.com")).cause == "points_elsewhere"


def test_a_name_without_an_address(place: Place) -> None:
    place.dns.set_default_ipv4("")
    try:
        told = place.refusal(place.request("nowhere.example.com"))
    finally:
        place.dns.set_default_ipv4("127.0.0.1")
    assert told.cause == "no_address"
    assert told.sentence == "nowhere.example.com has no address in DNS."


def test_name_servers_that_fail(place: Place) -> None:
    """For a name without an address and for broken name servers Pebble has the same words when it looks by HTTP. The
    check that comes before an order tells the two apart, and so does an order by DNS (test_causes.py)."""
    place.dns.set_servfail("broken.example.com.")
    told = place.refusal(place.request("broken.example.com"))
    place.dns.clear_servfail("broken.example.com.")
    assert told.cause == "no_address"


def test_a_port_where_nothing_answers(tmp_path: Path) -> None:
    with running_place(tmp_path) as place:
        place.dns.add_a("closed.example.com", "127.0.0.9")
        told = place.refusal(place.request("closed.example.com"))
        assert told.cause == "port_closed"


def test_a_name_that_is_reached_by_ipv6_only(tmp_path: Path) -> None:
    """The web server listens on IPv4 only."""
    with running_place(tmp_path) as place:
        place.dns.set_default_ipv4("")
        place.dns.add_aaaa("six.example.com", "::1")
        assert place.refusal(place.request("six.example.com")).cause == "ipv6_only"


def test_names_that_the_authority_blocks_are_named(tmp_path: Path) -> None:
    blocked = ["blocked.example.com", "evil.example.com"]
    with running_place(tmp_path, binary=newer_pebble(), domainBlocklist=blocked) as place:
        told = place.refusal(place.request("good.example.com", *blocked))
        assert told.cause == "name_refused"
        assert set(told.names) <= set(blocked)
        assert told.names
        assert "good.example.com" not in told.sentence


def test_the_key_of_the_account_is_refused_as_that_of_a_certificate(place: Place) -> None:
    place.issue("app.example.com")
    (path,) = (place.folder / "acme").glob("*/account.json")
    key = re.search(r'"key_pem": "([^"]+)"', path.read_text())
    assert key is not None
    told = place.refusal(place.request("app.example.com", key=key[1].replace("\\n", "\n")))
    assert told.cause == "key_refused"
    assert place.log.url == ""


def refuse_short_key(payload: dict[str, Any]) -> Reply | None:
    """As Boulder does it, after a look at the signing request that was sent (goodkey/good_key.go)."""
    text = str(payload["csr"])
    csr = x509.load_der_x509_csr(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    key = csr.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < 2048:
        return as_problem(
            "badCSR", f"Error finalizing order :: invalid public key in CSR: key too small: {key.key_size}"
        )
    return None


def test_a_short_key_is_refused(place: Place, front: Front) -> None:
    """Pebble takes RSA of 1024 bits; Let's Encrypt does not."""
    authority = authority_of(place.pebble, directory_url=front.directory_url, ca_pem=front.ca_pem)
    front.judge("^/finalize-order/", refuse_short_key)
    told = place.refusal(place.request("app.example.com", key=new_key(1024), authority=authority))
    assert told.cause == "key_refused"
    assert told.detail.endswith("key too small: 1024")
    assert place.stage == "issued"
    assert place.log.url == ""
    assert place.issue("app.example.com", key=new_key(2048), authority=authority)


def limit(detail: str, status: int = 429) -> Problem:
    moment = datetime(2026, 11, 24, 14, 32, tzinfo=UTC)
    return Problem("rateLimited", detail, status, retry_at=moment)


BOULDER: list[tuple[str, Problem]] = [
    (
        "failure_limit",
        limit('too many failed authorizations (5) for "app.example.com" in the last 1h0m0s, retry after …'),
    ),
    (
        "duplicate_limit",
        limit("too many certificates (5) already issued for this exact set of identifiers in the last 168h"),
    ),
    ("domain_limit", limit('too many certificates (50) already issued for "example.com" in the last 168h0m0s')),
    ("other_limit", limit("too many new orders (300) from this account in the last 3h0m0s")),
    ("other_limit", limit("too many new registrations (10) from this IP address in the last 3h0m0s")),
    ("authority_busy", limit("Service busy; retry later.", 503)),
    ("authority_busy", Problem("serverInternal", "The server is in maintenance", 503)),
    ("authority_busy", Problem("", "HTTP 502 Bad Gateway", 502)),
    ("nonce", Problem("badNonce", "JWS has an invalid anti-replay nonce", 400)),
    ("order_expired", Problem("malformed", "Order is expired", 404)),
    ("order_expired", Problem("malformed", "No order for ID 5", 404)),
    ("account_gone", Problem("accountDoesNotExist", "Account does not exist", 400)),
    ("account_gone", Problem("unauthorized", 'Account is not valid, has status "deactivated"', 403)),
    ("external_account", Problem("externalAccountRequired", "External account binding is required", 403)),
    ("action_required", Problem("userActionRequired", "Terms of service have changed", 403)),
    (
        "private_address",
        Problem("rejectedIdentifier", "Domain name does not end with a valid public suffix (TLD)", 400),
    ),
    ("private_address", Problem("malformed", 'Cannot issue for "nas": Domain name needs at least one dot', 400)),
    (
        "name_refused",
        Problem("rejectedIdentifier", "The ACME server refuses to issue a certificate for this domain", 400),
    ),
    ("profile", Problem("invalidProfile", "Profile not recognized", 400)),
    ("key_refused", Problem("badCSR", "RSA key too small", 400)),
    ("caa_forbids", Problem("caa", "CAA record for app.example.com prevents issuance", 403)),
    ("dns_broken", Problem("caa", "SERVFAIL looking up CAA for example.com", 400)),
    ("dns_broken", Problem("dnssec", "DNSSEC validation failed", 400)),
    ("other", Problem("unauthorized", "something else", 403)),
    ("other", Problem("neverHeardOf", "a new kind", 400)),
]


@pytest.mark.parametrize(("cause", "problem"), BOULDER, ids=[f"{c}-{n}" for n, (c, _) in enumerate(BOULDER)])
def test_a_refused_request_is_told_as_its_cause(cause: str, problem: Problem) -> None:
    told = classify(ProblemReply(problem), CONTEXT)
    assert told.cause == cause
    assert told.detail == problem.detail
    assert told.directory_url == CONTEXT.directory_url
    assert "{" not in told.sentence + told.next_step


CHECKED: list[tuple[str, Problem]] = [
    (
        "no_address",
        Problem("dns", "DNS problem: NXDOMAIN looking up A for app.example.com - check that a DNS record exists"),
    ),
    ("no_address", Problem("dns", "no valid A records found for app.example.com; no valid AAAA records found")),
    ("private_address", Problem("dns", "192.168.1.5 is a private address and cannot be reached")),
    ("dns_broken", Problem("dns", "DNS problem: SERVFAIL looking up A for app.example.com")),
    ("dns_broken", Problem("dns", "DNS problem: query timed out looking up CAA for app.example.com")),
    (
        "port_closed",
        Problem("connection", "203.0.113.7: Fetching http://app…: Timeout during connect (likely firewall problem)"),
    ),
    ("port_closed", Problem("connection", "203.0.113.7: Fetching http://app…: Connection refused")),
    ("ipv6_only", Problem("connection", "2001:db8::7: Fetching http://app…: Connection refused")),
    (
        "blocked_places",
        Problem("connection", "203.0.113.7: Fetching http://app…: Timeout after connect (your server may be slow)"),
    ),
    (
        "blocked_places",
        Problem("connection", "During secondary validation: 203.0.113.7: Fetching http://app…: Timeout during connect"),
    ),
    ("blocked_places", Problem("unauthorized", "203.0.113.7: Invalid response from http://app…: 503")),
    (
        "several_machines",
        Problem("unauthorized", "During secondary validation: 203.0.113.7: Invalid response from http://app…: 404"),
    ),
    ("redirect_loop", Problem("connection", "203.0.113.7: Fetching https://app…: Redirect loop detected")),
    ("redirect_loop", Problem("connection", "203.0.113.7: Fetching https://app…: Too many redirects")),
    (
        "bad_redirect",
        Problem(
            "connection",
            "203.0.113.7: Fetching https://app:8443/: Invalid port in redirect target. Only ports 80 and 443",
        ),
    ),
    ("bad_redirect", Problem("connection", "Invalid host in redirect target, must end in IANA registered TLD")),
    ("points_elsewhere", Problem("unauthorized", "203.0.113.7: Invalid response from http://app…: 404")),
    (
        "points_elsewhere",
        Problem("unauthorized", "The key authorization file from the server did not match this challenge"),
    ),
    ("ipv6_elsewhere", Problem("unauthorized", "2001:db8::7: Invalid response from http://app…: 404")),
    ("behind_cloudflare", Problem("unauthorized", "104.21.5.6: Invalid response from http://app…: 403")),
    ("behind_cloudflare", Problem("unauthorized", "2606:4700:3030::1: Invalid response from https://app…: 526")),
    ("behind_cloudflare", Problem("connection", "172.67.1.1: Fetching http://app…: Timeout after connect")),
    ("path_shadowed", Problem("unauthorized", "203.0.113.7: Invalid response from http://app…: 401")),
    ("path_shadowed", Problem("unauthorized", "203.0.113.7: Invalid response from http://app…: 403")),
    ("caa_forbids", Problem("caa", "CAA record for app.example.com prevents issuance")),
]


@pytest.mark.parametrize(("cause", "problem"), CHECKED, ids=[f"{c}-{n}" for n, (c, _) in enumerate(CHECKED)])
def test_a_failed_check_is_told_as_its_cause(cause: str, problem: Problem) -> None:
    told = classify_names([("app.example.com", problem)], CONTEXT)
    assert told.cause == cause
    assert told.names == ("app.example.com",)
    assert "app.example.com" in told.sentence
    assert problem.detail in told.detail


@pytest.mark.parametrize(
    "problem",
    [
        Problem("unauthorized", 'Incorrect TXT record "old" found at _acme-challenge.app.example.com'),
        Problem("unauthorized", "No TXT record found at _acme-challenge.app.example.com"),
        Problem("dns", "DNS problem: NXDOMAIN looking up TXT for _acme-challenge.app.example.com"),
        Problem("unauthorized", "Correct value not found for DNS challenge"),
    ],
)
def test_a_record_that_was_not_seen_is_told(problem: Problem) -> None:
    assert classify_names([("app.example.com", problem)], DNS).cause == "record_not_seen"


def test_the_moment_of_a_limit_is_said_and_given() -> None:
    told = classify(limit("too many certificates (5) already issued for this exact set of identifiers"), CONTEXT)
    assert told.retry_at == datetime(2026, 11, 24, 14, 32, tzinfo=UTC)
    assert "on 24 November at 14:32 UTC" in told.sentence


def test_a_limit_of_a_real_order_is_told_with_its_moment(place: Place, front: Front) -> None:
    later = datetime.now(UTC) + timedelta(hours=34)
    authority = authority_of(
        place.pebble, directory_url=front.directory_url, ca_pem=front.ca_pem, label="Let's Encrypt"
    )
    detail = f'too many failed authorizations (5) for "app.example.com", retry after {later:%Y-%m-%d %H:%M:%S} UTC: see'
    front.refuse("^/order-plz", "rateLimited", detail, 429)
    told = place.refusal(place.request("app.example.com", authority=authority))
    assert told.cause == "failure_limit"
    assert told.names == ("app.example.com",)
    assert told.retry_at == later.replace(microsecond=0)
    assert "The check of app.example.com failed too often. Let's Encrypt opens again on " in told.sentence
    assert place.stage == "order"


def test_a_pause_is_told_with_the_page_that_ends_it(place: Place, front: Front) -> None:
    authority = authority_of(place.pebble, directory_url=front.directory_url, ca_pem=front.ca_pem)
    page = "https://portal.letsencrypt.org/sfe/v1/unpause?jwt=eyJhbGciOiJIUzI1NiJ9"
    detail = (
        "Your account is temporarily prevented from requesting certificates for app.example.com and possibly others. "
        f"Please visit: {page}"
    )
    front.refuse("^/order-plz", "rateLimited", detail, 429)
    told = place.refusal(place.request("app.example.com", authority=authority))
    assert told.cause == "paused"
    assert told.url == page
    assert CAUSES["paused"].needs_person


def test_a_refusal_by_caa_is_told_with_the_name(place: Place, front: Front) -> None:
    authority = authority_of(place.pebble, directory_url=front.directory_url, ca_pem=front.ca_pem)
    front.fail_names("caa", "CAA record for example.com prevents issuance")
    told = place.refusal(place.request("app.example.com", authority=authority))
    assert told.cause == "caa_forbids"
    assert "CAA record" in told.next_step


def test_parts_of_a_refusal_name_each_name(place: Place, front: Front) -> None:
    authority = authority_of(place.pebble, directory_url=front.directory_url, ca_pem=front.ca_pem)
    kind = "urn:ietf:params:acme:error:rejectedIdentifier"
    parts = [
        {"type": kind, "detail": "forbidden by policy", "identifier": {"type": "dns", "value": name}}
        for name in ("bank.example.com", "mint.example.com")
    ]
    detail = "Cannot issue for 2 names (and 1 more problems. Refer to sub-problems for more information.)"
    front.refuse("^/order-plz", "rejectedIdentifier", detail, 400, subproblems=parts)
    told = place.refusal(place.request("good.example.com", "bank.example.com", "mint.example.com", authority=authority))
    assert told.cause == "name_refused"
    assert told.names == ("bank.example.com", "mint.example.com")
    assert "bank.example.com and mint.example.com" in told.sentence


ERRORS: list[tuple[str, BaseException]] = [
    ("authority_unreachable", Unreached("acme.example: no answer in time")),
    ("clock", Unreached("acme.example: certificate is not yet valid", wrong_clock=True)),
    ("strange_answer", NotAnAuthority("What https://x answers is not JSON.")),
    ("strange_answer", BrokenOrder("an identifier has no value")),
    ("storage", OSError(errno.ENOSPC, "No space left on device", "/etc/letsencrypt/x")),
    ("storage", PermissionError(errno.EACCES, "Permission denied", "/srv/acme")),
    (
        "dns_credential",
        DnsFailure("dns_credential", "Cloudflare refuses the token.", "Make a new one.", "Invalid token"),
    ),
    ("dns_provider", DnsFailure("dns_provider", "Hetzner does not answer.")),
    ("record_not_seen", DnsFailure("record_not_seen", "2 of 3 name servers show the record.")),
    ("other", RuntimeError("what nobody thought of")),
]


@pytest.mark.parametrize(("cause", "error"), ERRORS, ids=[f"{c}-{n}" for n, (c, _) in enumerate(ERRORS)])
def test_what_goes_wrong_here_is_told_as_its_cause(cause: str, error: BaseException) -> None:
    told = classify(error, CONTEXT)
    assert told.cause == cause
    assert told.sentence
    assert told.next_step


def test_a_full_disk_names_folder_and_reason() -> None:
    told = classify(OSError(errno.ENOSPC, "No space left on device", "/etc/letsencrypt/x"), CONTEXT)
    assert told.sentence == "/etc/letsencrypt/x cannot be written: No space left on device."


def test_words_of_the_dns_engine_are_kept() -> None:
    told = classify(DnsFailure("dns_credential", "Cloudflare refuses the token.", "Make a new one.", "Invalid"), DNS)
    assert (told.sentence, told.next_step, told.detail) == (
        "Cloudflare refuses the token.",
        "Make a new one.",
        "Invalid",
    )


def test_a_failure_that_was_made_is_kept() -> None:
    made = failure("nginx_refused", CONTEXT, detail="unknown directive in line 12")
    assert classify(AcmeFailure(made), CONTEXT) is made
    assert made.sentence == "The certificate is ready, but nginx does not serve it: unknown directive in line 12."


def test_names_are_listed_shortly() -> None:
    assert list_names(["a"]) == "a"
    assert list_names(["a", "b"]) == "a and b"
    assert list_names(["a", "b", "c"]) == "a, b and c"
    assert list_names([f"n{n}" for n in range(20)]) == "n0, n1 and 18 others"


def test_every_cause_can_be_said_without_any_values() -> None:
    for cause in CAUSES:
        sentence, next_step = say(cause)
        assert sentence[0].isupper() or sentence[0] == "{", sentence
        assert "{" not in sentence + next_step


@pytest.mark.parametrize(
    ("detail", "address"),
    [
        ("203.0.113.7: Fetching http://x", "203.0.113.7"),
        ("2001:db8::7: Fetching http://x", "2001:db8::7"),
        ("[2001:db8::7]: Fetching http://x", "2001:db8::7"),
        ("During secondary validation: 203.0.113.7: Fetching", "203.0.113.7"),
        ("Fetching http://x: failed", ""),
        ("DNS problem: NXDOMAIN", ""),
        ("", ""),
    ],
)
def test_the_address_in_the_words_is_found(detail: str, address: str) -> None:
    assert address_in(detail) == address


def test_cloudflare_is_known_by_its_addresses() -> None:
    assert is_cloudflare("104.21.5.6")
    assert is_cloudflare("2606:4700::1")
    assert not is_cloudflare("203.0.113.7")
