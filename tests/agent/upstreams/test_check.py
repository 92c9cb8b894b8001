"""What is found of upstreams beside an nginx on the machine, from real servers of all kinds."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.nginx.wrapper import Machine
from agent.upstreams.check import Checker
from agent.upstreams.upstream import Cause, State, Upstream
from tests.pebble import make_certificate
from tests.product import free_ports, running_upstream


def check(scheme: str, host: str, port: int, *, resolvers: tuple[str, ...] = ()) -> State:
    machine = Machine("", resolvers, ipv6=False, status_port=1, http_port=80)
    return Checker(lambda: machine, "", None).check(Upstream(scheme, host, port), None)


@contextmanager
def tls_server(folder: Path) -> Iterator[int]:
    """Takes one handshake after the other; its port."""
    make_certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            try:
                context.wrap_socket(connection, server_side=True).close()
            except OSError:
                connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)


@contextmanager
def full_server() -> Iterator[int]:
    """A listener whose queue is full, so that the kernel drops what else comes (Linux, listen(2))."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        waiting = []
        for _ in range(3):
            one = socket.socket()
            one.settimeout(0)
            one.connect_ex(server.getsockname())
            waiting.append(one)
        try:
            yield server.getsockname()[1]
        finally:
            for one in waiting:
                one.close()


def test_a_server_that_listens_is_reached() -> None:
    with running_upstream("hello") as port:
        state = check("http", "127.0.0.1", port)
    assert (state.finding.cause, state.finding.sentence) == (None, "")


def test_localhost_is_what_the_panel_makes_of_it() -> None:
    with running_upstream("hello") as port:
        assert check("http", "localhost", port).finding.cause is None


def test_a_closed_port() -> None:
    (port,) = free_ports(1)
    finding = check("http", "127.0.0.1", port).finding
    assert finding.cause is Cause.REFUSED
    assert "nothing listens there" in finding.sentence
    assert finding.next_step


def test_a_server_that_does_not_answer() -> None:
    with full_server() as port:
        finding = check("http", "127.0.0.1", port).finding
    assert finding.cause is Cause.TIMEOUT
    assert "within 3 seconds" in finding.sentence


def test_tls_with_a_certificate_that_nobody_trusts_is_fine(tmp_path: Path) -> None:
    with tls_server(tmp_path) as port:
        assert check("https", "127.0.0.1", port).finding.cause is None


def test_https_to_a_server_that_speaks_http() -> None:
    with running_upstream("hello") as port:
        finding = check("https", "127.0.0.1", port).finding
    assert finding.cause is Cause.TLS
    assert "does not speak TLS" in finding.sentence
    assert "Choose http" in finding.next_step


def test_a_name_that_no_name_server_knows() -> None:
    finding = check("http", "nothing.test", 80).finding
    assert finding.cause is Cause.UNRESOLVED
    assert "nothing.test" in finding.sentence


def test_an_address_without_a_route() -> None:
    finding = check("http", "2001:db8::1", 80).finding
    assert finding.cause in {Cause.UNREACHABLE, Cause.TIMEOUT, Cause.REFUSED}
    assert finding.sentence


@pytest.mark.parametrize("host", ["--help", "<b>x</b>", "a b", "x" * 400, ""])
def test_hostile_names_are_names_of_nothing(host: str) -> None:
    assert check("http", host, 80, resolvers=("127.0.0.1",)).finding.cause is Cause.UNRESOLVED
