"""Hosts with a certificate on a real nginx: what is answered over TLS, what leads there, and challenges before all."""

from __future__ import annotations

import socket
import ssl
import subprocess
from collections.abc import Iterator

import pytest

from panel.nginx.render import NginxFacts
from tests.panel.nginx.servers import (
    CHALLENGE,
    Reply,
    Serve,
    Upstream,
    ask,
    get,
    header,
    nginx_version,
    read_reply,
    to,
)

TOKEN = "/.well-known/acme-challenge/token"
NAME = "app.example.com"
YEAR = "max-age=31536000"


@pytest.fixture
def strict() -> Iterator[Upstream]:
    """An upstream that has a word of its own on HSTS."""
    server = Upstream(headers="Strict-Transport-Security: max-age=1\r\n")
    yield server
    server.stop()


def context(*protocols: str) -> ssl.SSLContext:
    made = ssl.create_default_context()
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    if protocols:
        made.set_alpn_protocols(list(protocols))
    return made


def get_tls(facts: NginxFacts, name: str, path: str = "/") -> Reply:
    with (
        socket.create_connection(("127.0.0.1", facts.https_port), timeout=10) as plain,
        context().wrap_socket(plain, server_hostname=name) as connection,
    ):
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
        return read_reply(connection)


def protocol_of(facts: NginxFacts, name: str) -> str | None:
    """What nginx chooses when the visitor would take both."""
    with (
        socket.create_connection(("127.0.0.1", facts.https_port), timeout=10) as plain,
        context("h2", "http/1.1").wrap_socket(plain, server_hostname=name) as connection,
    ):
        return connection.selected_alpn_protocol()


@pytest.mark.parametrize("name", [NAME, "dead.example.com", "secret.example.com", "unknown.example.com"])
@pytest.mark.parametrize("tls", [False, True])
def test_nothing_shadows_the_challenge(serve: Serve, upstream: Upstream, name: str, *, tls: bool) -> None:
    dead = to(upstream, id=1, domain_names=["dead.example.com"], forward_host="gone.test")
    secret = to(upstream, id=2, domain_names=["secret.example.com"], forward_scheme="https", hsts=True)
    port = serve(to(upstream, websocket=True, force_ssl=True), dead, secret, tls=tls).http_port
    reply = get(port, name, TOKEN)
    assert (reply.status, reply.body, reply.headers["content-type"]) == (200, CHALLENGE, "text/plain")
    assert get(port, name, f"{TOKEN}s").status == 404
    assert upstream.requests == []


@pytest.mark.parametrize(
    "path", ["//.well-known//acme-challenge/token", f"/x/..{TOKEN}", "/%2ewell-known/acme-challenge/token"]
)
def test_a_challenge_is_known_however_its_path_is_written(serve: Serve, upstream: Upstream, path: str) -> None:
    port = serve(to(upstream, force_ssl=True), tls=True).http_port
    assert get(port, NAME, path).body == CHALLENGE


@pytest.mark.parametrize(
    "path",
    ["/.well-known/acme-challenge/../../revision", "/.well-known/acme-challenge", "/.WELL-KNOWN/acme-challenge/token"],
)
def test_a_path_that_is_no_challenge_goes_to_the_upstream(serve: Serve, upstream: Upstream, path: str) -> None:
    reply = get(serve(to(upstream)).http_port, NAME, path)
    assert reply.seen["line"] == f"GET {path} HTTP/1.1"


def test_a_host_with_a_certificate_is_served_over_tls_and_an_unknown_name_gets_no_handshake(
    serve: Serve, upstream: Upstream
) -> None:
    plain = to(upstream, id=2, domain_names=["plain.example.com"])
    facts = serve(to(upstream), plain, tls=True, plain=(2,))
    assert header(get_tls(facts, NAME), "x-forwarded-proto") == ["https"]
    assert get(facts.http_port, NAME).status == 200
    for name in ("unknown.example.com", "plain.example.com", None):
        with (
            socket.create_connection(("127.0.0.1", facts.https_port), timeout=10) as connection,
            pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"),
        ):
            context().wrap_socket(connection, server_hostname=name)


def test_force_ssl_leads_to_the_same_address_on_https(serve: Serve, upstream: Upstream) -> None:
    other = to(upstream, id=2, domain_names=["other.example.com"])
    facts = serve(to(upstream, force_ssl=True), other, tls=True)
    reply = get(facts.http_port, f"{NAME}:{facts.http_port}", "/a%2Fb?q=1&r=//x")
    assert (reply.status, reply.headers["location"]) == (301, f"https://{NAME}:{facts.https_port}/a%2Fb?q=1&r=//x")
    assert (
        ask(facts.http_port, f"POST / HTTP/1.1\nHost: {NAME}\nContent-Length: 0\nConnection: close\n\n").status == 301
    )
    assert upstream.requests == []
    assert get_tls(facts, NAME, "/a").seen["line"] == "GET /a HTTP/1.1"
    assert get(facts.http_port, "other.example.com").status == 200


def test_a_host_without_a_certificate_does_not_lead_to_https(serve: Serve, upstream: Upstream) -> None:
    assert get(serve(to(upstream, force_ssl=True, hsts=True)).http_port, NAME).status == 200


def test_hsts_is_said_once_over_tls_only_and_of_errors_too(serve: Serve, strict: Upstream) -> None:
    dead = to(strict, id=2, domain_names=["dead.example.com"], forward_port=1, hsts=True)
    other = to(strict, id=3, domain_names=["other.example.com"])
    facts = serve(to(strict, hsts=True), dead, other, tls=True)
    assert get_tls(facts, NAME).headers["strict-transport-security"] == YEAR
    assert get_tls(facts, "dead.example.com").status == 502
    assert get_tls(facts, "dead.example.com").headers["strict-transport-security"] == YEAR
    assert get_tls(facts, "other.example.com").headers["strict-transport-security"] == "max-age=1"
    for name in (NAME, "dead.example.com", "other.example.com", "unknown.example.com"):
        assert "strict-transport-security" not in get(facts.http_port, name).headers


def test_http2_is_spoken_where_the_hosts_want_it(serve: Serve, upstream: Upstream) -> None:
    other = to(upstream, id=2, domain_names=["other.example.com"])
    facts = serve(to(upstream), other, tls=True)
    assert protocol_of(facts, NAME) == protocol_of(facts, "other.example.com") == "h2"


def test_a_host_that_wants_no_http2_has_none_and_before_1_25_1_nobody_has_it_then(
    serve: Serve, upstream: Upstream
) -> None:
    other = to(upstream, id=2, domain_names=["other.example.com"])
    facts = serve(to(upstream, http2=False), other, tls=True)
    assert protocol_of(facts, NAME) == "http/1.1"
    assert protocol_of(facts, "other.example.com") == ("h2" if nginx_version() >= (1, 25, 1) else "http/1.1")


def test_old_protocols_are_refused(serve: Serve, upstream: Upstream) -> None:
    facts = serve(to(upstream), tls=True)
    for option, works in (("-tls1_2", True), ("-tls1_3", True), ("-tls1_1", False)):
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{facts.https_port}", "-servername", NAME, option]
        ran = subprocess.run([*command, "-cipher", "ALL:@SECLEVEL=0"], input=b"", capture_output=True, timeout=10)
        assert (b"alert protocol version" in ran.stderr) != works
        assert (ran.returncode == 0) == works
