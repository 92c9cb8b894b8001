"""Names are looked up as nginx does it, of a real name server."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from agent.upstreams.names import Unresolved, resolve
from tests.challtestsrv import Challtestsrv, running_challtestsrv


@pytest.fixture(scope="module")
def server() -> Iterator[Challtestsrv]:
    """A name server that knows nothing."""
    with running_challtestsrv() as made:
        made.set_default_ipv4("")
        made.set_default_ipv6("")
        yield made


def ask(server: Challtestsrv, name: str, *, ipv6: bool = True) -> list[str]:
    address, _, port = server.dns_server.rpartition(":")
    return resolve(name, [address], 3.0, ipv6=ipv6, port=int(port))


def test_all_addresses_are_found_and_ipv4_comes_first(server: Challtestsrv) -> None:
    server.add_a("shop.test", "192.0.2.1", "192.0.2.2")
    server.add_aaaa("shop.test", "2001:db8::1")
    assert ask(server, "shop.test") == ["192.0.2.1", "192.0.2.2", "2001:db8::1"]


def test_an_alias_leads_to_its_addresses(server: Challtestsrv) -> None:
    server.add_a("target.test", "192.0.2.9")
    server.set_cname("alias.test", "target.test")
    assert ask(server, "alias.test") == ["192.0.2.9"]


def test_without_ipv6_nginx_does_not_ask_for_it(server: Challtestsrv) -> None:
    server.add_a("both.test", "192.0.2.1")
    server.add_aaaa("both.test", "2001:db8::1")
    assert ask(server, "both.test", ipv6=False) == ["192.0.2.1"]


def test_a_name_without_an_address(server: Challtestsrv) -> None:
    with pytest.raises(Unresolved, match=r"no address|no such name"):
        ask(server, "nothing.test")


def test_a_server_that_fails_is_told_from_a_name_that_is_not_there(server: Challtestsrv) -> None:
    server.set_servfail("broken.test")
    with pytest.raises(Unresolved, match="could not find out"):
        ask(server, "broken.test")


@pytest.mark.parametrize("name", ["x" * 300 + ".test", "schön.test", "a..b", "\x1b[31m", ""])
def test_what_is_no_name_has_no_address(server: Challtestsrv, name: str) -> None:
    with pytest.raises(Unresolved):
        ask(server, name)


def test_a_silent_server_is_given_up_in_time() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        with pytest.raises(Unresolved, match="in time"):
            resolve("shop.test", ["127.0.0.1"], 0.5, ipv6=False, port=silent.getsockname()[1])


def test_a_name_server_that_is_not_there_is_tried_no_longer_than_allowed() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(Unresolved, match="in time"):
        resolve("shop.test", ["127.0.0.1"], 0.5, ipv6=False, port=port)


def test_without_a_name_server_that_is_what_is_said() -> None:
    with pytest.raises(Unresolved, match=r"/etc/resolv\.conf"):
        resolve("shop.test", [], 1.0, ipv6=False)
