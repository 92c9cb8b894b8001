"""What visitors and upstreams get from a real nginx with rendered files."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.panel.nginx.servers import Serve, Upstream, ask, free_port, get, has_ipv6, header, read_reply, to

FORGED = (
    "X-Forwarded-For: 6.6.6.6\nX-Forwarded-Proto: https\nX-Forwarded-Host: evil.example\nX-Forwarded-Port: 666\n"
    "X-Forwarded-Scheme: https\nX-Real-IP: 6.6.6.6\nForwarded: for=6.6.6.6\nX-Forwarded-Server: evil\n"
    "X-Forwarded-Prefix: /evil\nX-Forwarded-Ssl: on\nX-Forwarded-Uri: /evil\nX-Forwarded: evil\nX-Forwarded-By: evil\n"
    "X-Client-IP: 6.6.6.6\nX-Cluster-Client-IP: 6.6.6.6\nTrue-Client-IP: 6.6.6.6\nProxy: http://evil\n"
    "X-Original-URL: /evil\nX-Rewrite-URL: /evil\nX_Forwarded_For: 6.6.6.6\n"
    "Remote-User: admin\nX-Remote-User: admin\nX-Forwarded-User: admin\nX-Forwarded-Email: a@b\n"
    "X-Forwarded-Groups: admin\nX-Forwarded-Preferred-Username: admin\nX-Forwarded-Client-Cert: evil\n"
)


def test_the_upstream_is_told_the_truth_about_the_visitor(serve: Serve, upstream: Upstream) -> None:
    port = serve(to(upstream)).http_port
    reply = get(port, f"App.Example.com:{port}", "/a%2Fb?q=1")
    assert reply.status == 200
    assert reply.seen["line"] == "GET /a%2Fb?q=1 HTTP/1.1"
    assert header(reply, "host") == header(reply, "x-forwarded-host") == [f"app.example.com:{port}"]
    assert header(reply, "x-forwarded-for") == header(reply, "x-real-ip") == ["127.0.0.1"]
    assert header(reply, "x-forwarded-proto") == header(reply, "x-forwarded-scheme") == ["http"]
    assert header(reply, "x-forwarded-port") == [str(port)]
    assert get(port, "app.example.com").seen["headers"][0] == ["host", "app.example.com"]


def test_a_visitor_cannot_forge_any_of_it(serve: Serve, upstream: Upstream) -> None:
    port = serve(to(upstream)).http_port
    reply = get(port, "app.example.com", extra=FORGED)
    told = {name: value for name, value in reply.seen["headers"] if name.startswith(("x-", "x_", "f", "t", "p", "r"))}
    assert told == {
        "x-real-ip": "127.0.0.1",
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-proto": "http",
        "x-forwarded-scheme": "http",
        "x-forwarded-host": "app.example.com",
        "x-forwarded-port": str(port),
    }


def test_an_absolute_request_line_cannot_smuggle_another_host_header(serve: Serve, upstream: Upstream) -> None:
    port = serve(to(upstream)).http_port
    request = "GET http://app.example.com/ HTTP/1.1\nHost: evil.example\nConnection: close\n\n"
    reply = ask(port, request)
    assert header(reply, "host") == header(reply, "x-forwarded-host") == ["app.example.com"]


@pytest.mark.parametrize(
    "name", ["unknown.example.com", "example.com", "127.0.0.1", "waypost_12", "_", "app.example.com.evil"]
)
def test_a_name_that_no_host_has_gets_404_and_nobodys_site(serve: Serve, upstream: Upstream, name: str) -> None:
    reply = get(serve(to(upstream)).http_port, name)
    assert (reply.status, reply.body) == (404, "There is no site at this name.\n")
    assert "server" not in reply.headers or reply.headers["server"] == "nginx"
    assert upstream.requests == []


def test_a_request_without_a_name_gets_nobodys_site(serve: Serve, upstream: Upstream) -> None:
    port = serve(to(upstream)).http_port
    assert ask(port, "GET / HTTP/1.0\n\n").status == 404
    assert ask(port, "GET / HTTP/1.1\nConnection: close\n\n").status == 400
    assert upstream.requests == []


def test_a_wildcard_catches_what_is_below_it_and_not_the_name_itself(serve: Serve, upstream: Upstream) -> None:
    exact = to(upstream, id=1, domain_names=["app.example.com"], forward_port=free_port())
    wild = to(upstream, id=2, domain_names=["*.example.com"])
    port = serve(exact, wild).http_port
    assert get(port, "other.example.com").status == 200
    assert get(port, "app.example.com").status == 502
    assert get(port, "example.com").status == 404


def test_a_websocket_passes_where_it_is_wanted(serve: Serve, upstream: Upstream) -> None:
    port = serve(to(upstream, websocket=True)).http_port
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(
            b"GET /ws HTTP/1.1\r\nHost: app.example.com\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\r\n"
        )
        reply = read_reply(connection)
        assert (reply.status, reply.headers["upgrade"]) == (101, "websocket")
        connection.sendall(b"\x81\x05hello")
        assert connection.recv(64) == b"\x81\x05hello"


@pytest.mark.parametrize(("wanted", "upgrade"), [(False, "websocket"), (True, "h2c"), (True, "websocket, h2c")])
def test_no_other_upgrade_reaches_the_upstream(serve: Serve, upstream: Upstream, wanted: bool, upgrade: str) -> None:
    port = serve(to(upstream, websocket=wanted)).http_port
    request = f"GET / HTTP/1.1\nHost: app.example.com\nUpgrade: {upgrade}\nConnection: Upgrade, HTTP2-Settings\n\n"
    reply = ask(port, request)
    assert reply.status == 200
    assert header(reply, "upgrade") == header(reply, "connection") == []


def test_requests_share_a_connection_to_the_upstream(serve: Serve, upstream: Upstream) -> None:
    port = serve(to(upstream, websocket=True)).http_port
    assert [get(port, "app.example.com").seen["connection"] for _ in range(5)] == [1] * 5


def test_names_are_looked_up_while_nginx_runs(serve: Serve, upstream: Upstream) -> None:
    port = serve(to(upstream, forward_host="app_1")).http_port
    wait_for_name(port, upstream)
    reply = get(port, "app.example.com", "/path?q=1")
    assert reply.seen["line"] == "GET /path?q=1 HTTP/1.1"
    assert header(reply, "host") == ["app.example.com"]


def test_a_reload_forgets_no_name(serve: Serve, upstream: Upstream, tmp_path: Path) -> None:
    port = serve(to(upstream, forward_host="app_1")).http_port
    wait_for_name(port, upstream)
    for _ in range(5):
        os.kill(int((tmp_path / "nginx.pid").read_text()), signal.SIGHUP)
        assert {get(port, "app.example.com").status for _ in range(40)} == {200}


def wait_for_name(port: int, upstream: Upstream) -> None:
    """A group knows a new name a moment after nginx has started. (The name server is a greenlet of this process.)"""
    deadline = time.monotonic() + 10
    while get(port, "app.example.com").status != 200:
        assert time.monotonic() < deadline
    upstream.requests.clear()


def test_a_dead_name_harms_nobody_else(serve: Serve, upstream: Upstream) -> None:
    dead = to(upstream, id=1, domain_names=["dead.example.com"], forward_host="gone.test")
    alive = to(upstream, id=2, forward_host="alive.test")
    port = serve(dead, alive).http_port
    wait_for_name(port, upstream)
    assert get(port, "app.example.com").status == 200
    assert get(port, "dead.example.com").status == 502


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_an_ipv6_upstream_and_an_ipv6_visitor_meet(serve: Serve) -> None:
    upstream = Upstream("::1")
    port = serve(to(upstream, forward_host="::1"), ipv6=True).http_port
    reply = get(port, "app.example.com", address="::1")
    assert header(reply, "x-forwarded-for") == ["::1"]
    assert get(port, "app.example.com").status == 200
    upstream.stop()


def test_localhost_is_this_machine_whatever_the_name_server_says(serve: Serve, upstream: Upstream) -> None:
    assert get(serve(to(upstream, forward_host="localhost")).http_port, "app.example.com").status == 200


def test_a_large_upload_passes_and_the_version_stays_unsaid(serve: Serve, upstream: Upstream) -> None:
    port = serve(to(upstream)).http_port
    size = 3 << 20
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(f"POST / HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: {size}\r\n\r\n".encode())
        connection.sendall(b"x" * size)
        reply = read_reply(connection)
    assert reply.status == 200
    assert header(reply, "content-length") == [str(size)]
    assert reply.headers["server"] == "nginx"
