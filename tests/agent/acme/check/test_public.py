"""What answers at a name's addresses: other web servers, redirects, closed ports; all of them real.
May import: agent.acme, tests.agent.acme.check."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Sequence
from dataclasses import replace

import pytest

from agent.acme.check.addresses import Addresses
from agent.acme.check.lookup import Lookup, State
from agent.acme.check.probe import Result, Seen, Token
from agent.acme.check.public import check_public, judge
from agent.acme.check.surroundings import Deadline, NameServers
from agent.acme.http01 import FOLDER, TokenFiles
from agent.acme.spec import Finding, Level
from tests.agent.acme.check.world import (
    LETS_ENCRYPT,
    Names,
    World,
    is_error,
    only,
    running_silence,
    running_site,
)
from tests.product import free_ports

NAME = "app.test"
NOWHERE = NameServers((("127.0.0.1", 1),))
TOKEN = Token(f"/{FOLDER}/abcdefghijklmnopqrstuvwx", "what the file says")
V4 = ipaddress.ip_address("127.0.0.1")
ELSEWHERE, ELSEWHERE_V6 = ipaddress.ip_address("8.8.4.4"), ipaddress.ip_address("2001:4860:4860::8844")


def check(
    world: World, port: int, *addresses: str, servers: NameServers = NOWHERE, seconds: float = 3.0
) -> list[Finding]:
    """A test authority asks at `port`."""
    world.config = replace(world.config, http_port=port)
    question = world.question(world.spec(NAME), seconds)
    found = Addresses(tuple(map(ipaddress.ip_address, addresses or ("127.0.0.1",))), State.FOUND)
    with TokenFiles(world.layout.webroot) as files:
        files.write("abcdefghijklmnopqrstuvwx", TOKEN.text)
        return check_public(NAME, found, TOKEN, question, Lookup(servers, Deadline(seconds), lambda _: True))


def test_the_token_at_the_address_is_one_ok(world: World) -> None:
    with running_site() as site:
        site.body = TOKEN.text.encode() + b"\n"
        assert only(check(world, site.port)).level is Level.OK
        assert site.asked == [f"{NAME}:{site.port}{TOKEN.url_path}"]


def test_another_site_is_named(world: World) -> None:
    with running_site() as site:
        finding = only(check(world, site.port))
    assert is_error(finding, "points_elsewhere")
    assert f"{NAME} leads to 127.0.0.1, where Elsewhere answers 200" in finding.sentence


def test_a_server_that_speaks_no_http_is_another_one_too(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"220 mail.example.com ESMTP\r\n")

        threading.Thread(target=greet, daemon=True).start()
        assert is_error(only(check(world, listener.getsockname()[1])), "points_elsewhere")


def test_the_token_with_another_status_is_not_the_token(world: World) -> None:
    with running_site() as site:
        site.status, site.body = 403, TOKEN.text.encode()
        assert is_error(only(check(world, site.port)), "points_elsewhere")


def test_one_of_two_addresses_that_does_not_know_it_is_named(world: World) -> None:
    with running_site() as site:
        site.body = TOKEN.text.encode()
        finding = only(check(world, site.port, "127.0.0.1", "127.0.0.2"))
    assert finding.level is Level.WARNING  # nobody listens at the second, which may be a firewall
    assert "127.0.0.2 refuses connections" in finding.sentence
    seen = {V4: Seen(Result.SEEN), ELSEWHERE: Seen(Result.OTHER, 404)}
    assert is_error(only(judge(NAME, seen, world.question(world.spec(NAME)))), "several_machines")


def test_another_machine_at_the_second_of_two_addresses_is_an_error(world: World) -> None:
    with running_site() as site, running_site("127.0.0.2", port=site.port) as other:
        site.body, other.status = TOKEN.text.encode(), 404
        assert is_error(only(check(world, site.port, "127.0.0.1", "127.0.0.2")), "several_machines")
        assert other.asked


def test_another_machine_at_the_ipv6_address_is_an_error(world: World) -> None:
    with running_site() as site, running_site("::1", port=site.port) as other:
        site.body = TOKEN.text.encode()
        finding = only(check(world, site.port, "::1", "127.0.0.1"))
        assert is_error(finding, "ipv6_elsewhere")
        assert "::1" in finding.sentence
        assert other.asked


def test_an_ipv6_address_that_leads_elsewhere_is_named_while_ipv4_is_right(world: World) -> None:
    with running_site() as site:
        site.body = TOKEN.text.encode()
        finding = only(check(world, site.port, "::1", "127.0.0.1"))
        assert (finding.level, "::1 refuses" in finding.sentence) == (Level.WARNING, True)
    seen = {ELSEWHERE_V6: Seen(Result.OTHER, 200), V4: Seen(Result.SEEN, 200)}
    finding = only(judge(NAME, seen, world.question(world.spec(NAME))))
    assert is_error(finding, "ipv6_elsewhere")
    assert str(ELSEWHERE_V6) in finding.sentence


def test_a_redirect_to_another_name_is_followed_by_its_own_address(world: World, names: Names) -> None:
    with running_site() as site, running_site() as target:
        target.body = TOKEN.text.encode()
        world.config = replace(world.config, https_port=target.port)  # so that this port is allowed
        site.status, site.headers = 302, {"Location": f"http://www.good.test:{target.port}PATH"}
        assert only(check(world, site.port, servers=names.servers)).level is Level.OK
        assert target.asked == [f"www.good.test:{target.port}{TOKEN.url_path}"]


@pytest.mark.parametrize("host", ["meta.good.test", "169.254.169.254", "[fe80::1]", "gone.good.test"])
def test_a_redirect_to_where_nobody_may_go_is_not_followed_and_told(world: World, names: Names, host: str) -> None:
    with running_site() as site:
        site.status, site.headers = 301, {"Location": f"http://{host}/latest/meta-data/"}
        finding = only(check(world, site.port, servers=names.servers))
    assert finding.level is Level.INFO
    assert "where this machine may not look" in finding.sentence


def test_the_same_url_twice_is_a_loop_and_eleven_redirects_are_too_many(world: World) -> None:
    with running_site() as site:
        site.status, site.headers = 301, {"Location": f"http://{NAME}:{site.port}PATH"}
        assert is_error(only(check(world, site.port)), "redirect_loop")
        assert len(site.asked) == 1
        site.headers = {"Location": f"http://{NAME}:{site.port}PATHx"}
        site.asked.clear()
        assert is_error(only(check(world, site.port)), "redirect_loop")
        assert len(site.asked) == 11


@pytest.mark.parametrize(
    "target", ["http://app.test:22/", "gopher://app.test/", "https://app.test:1443/", "http://:80/x"]
)
def test_a_redirect_to_another_port_or_protocol_is_an_error_that_shows_it(world: World, target: str) -> None:
    with running_site() as site:
        site.status, site.headers = 302, {"Location": target}
        finding = only(check(world, site.port))
    assert is_error(finding, "bad_redirect")
    assert target in finding.sentence


def test_a_status_that_authorities_do_not_follow_is_another_site(world: World) -> None:
    with running_site() as site:
        site.status, site.headers = 303, {"Location": f"http://{NAME}:{site.port}/x"}
        assert is_error(only(check(world, site.port)), "points_elsewhere")


def test_cloudflare_in_front_is_said_whether_it_lets_the_token_through_or_not(world: World) -> None:
    with running_site() as site:
        site.body, site.headers = TOKEN.text.encode(), {"Server": "cloudflare"}
        finding = only(check(world, site.port))
        assert finding.level is Level.OK
        assert "Cloudflare stands in front" in finding.sentence
        site.status = 526
        assert is_error(only(check(world, site.port)), "behind_cloudflare")


def test_a_closed_port_of_this_machine_is_an_error(world: World) -> None:
    finding = only(check(world, free_ports(1)[0]))
    assert is_error(finding, "port_closed")
    assert "127.0.0.1 refuses connections" in finding.sentence


def test_silence_is_a_warning_within_the_deadline(world: World) -> None:
    with running_silence() as port:
        finding = only(check(world, port, seconds=0.2))
    assert (finding.level, finding.cause) == (Level.WARNING, "port_closed")


@pytest.mark.parametrize(
    ("own", "result", "level"),
    [
        (["8.8.4.4"], Result.REFUSED, Level.WARNING),  # it is ours, but nginx listens on another port than 80
        (["9.9.9.9"], Result.SILENT, Level.WARNING),
        (["192.168.1.5"], Result.SILENT, Level.INFO),
        (["192.168.1.5"], Result.REFUSED, Level.INFO),
        (["192.168.1.5"], Result.OTHER, Level.WARNING),  # perhaps the router's own page
        (["9.9.9.9"], Result.OTHER, Level.ERROR),
    ],
)
def test_behind_a_router_nothing_is_sure(world: World, own: Sequence[str], result: Result, level: Level) -> None:
    world.own = tuple(map(ipaddress.ip_address, own))
    question = world.question(world.spec("app.example.com", authority=LETS_ENCRYPT))
    finding = only(judge("app.example.com", {ELSEWHERE: Seen(result, 200)}, question))
    assert finding.level is level


def test_port_80_of_this_machine_that_is_closed_is_sure_when_nginx_should_be_there(world: World) -> None:
    world.own, world.config = (ELSEWHERE,), replace(world.config, http_port=80)
    question = world.question(world.spec("app.example.com", authority=LETS_ENCRYPT))
    assert is_error(only(judge("app.example.com", {ELSEWHERE: Seen(Result.REFUSED)}, question)), "port_closed")


@pytest.mark.parametrize("address", ["127.0.0.1", "192.168.1.5", "169.254.169.254", "::1"])
def test_a_public_authoritys_check_never_connects_inside(world: World, address: str) -> None:
    with running_site() as site:
        question = world.question(world.spec(NAME, authority=LETS_ENCRYPT), public_port=site.port)
        found = Addresses((ipaddress.ip_address(address),), State.FOUND)
        lookup = Lookup(NOWHERE, Deadline(1), lambda _: True)
        assert check_public(NAME, found, TOKEN, question, lookup) == []
        assert site.asked == []


def test_hostile_words_of_a_server_are_cleaned(world: World) -> None:
    with running_site() as site:
        site.headers = {"Server": "\x1b[31mred\x1b[0m" + "x" * 500}
        finding = only(check(world, site.port))
    assert "\x1b" not in finding.sentence
    assert len(finding.sentence) < 250


def test_a_server_that_never_ends_its_answer_is_not_read_to_the_end(world: World) -> None:
    with running_site() as site:
        site.body = b"x" * 5_000_000
        assert is_error(only(check(world, site.port)), "points_elsewhere")
