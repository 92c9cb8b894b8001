"""How APIs are spoken to: retries that wait as asked, no redirects, no forbidden addresses, no secrets in words."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from agent.dns.addresses import check_url, refuse_address
from agent.dns.http import Api, look_at
from agent.dns.patience import Deadline
from agent.dns.spec import DnsFailure
from agent.errors import Cancelled
from agent.nginx.guard import Guard
from tests.agent.dns.far_side import Asked, FarSide, Said, far_side

SECRET = "s3cret-value"


def _hello(_: Asked) -> Said:
    return Said(200, {"hello": "world"})


def _api(side: FarSide, guard: Guard) -> Api:
    return Api("Test", side.url, {"Authorization": f"Bearer {SECRET}"}, (SECRET,), guard)


@pytest.mark.parametrize(
    "retry_after",
    ["0", lambda: format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)],
)
@pytest.mark.parametrize("status", [429, 500, 503])
def test_busy_answers_are_tried_again(guard: Guard, status: int, retry_after: str | Callable[[], str]) -> None:
    after = retry_after if isinstance(retry_after, str) else retry_after()
    with far_side(_hello) as side:
        side.first = [Said(status, None, {"Retry-After": after})]
        answer = _api(side, guard).call("GET", "/")
        assert (answer.status, answer.data) == (200, {"hello": "world"})
        assert len(side.asked) == 2


def test_it_gives_up_after_five(guard: Guard) -> None:
    with far_side(lambda _: Said(503, None, {"Retry-After": "0"})) as side:
        assert _api(side, guard).call("GET", "/").status == 503
        assert len(side.asked) == 5


def test_a_cancel_ends_the_wait_for_a_retry() -> None:
    guard = Guard(time.monotonic() + 60, threading.Event(), threading.Event())

    def busy(_: Asked) -> Said:
        guard.cancelled.set()
        return Said(429, None, {"Retry-After": "30"})

    with far_side(busy) as side, pytest.raises(Cancelled):
        _api(side, guard).call("GET", "/")


def test_a_deadline_is_kept() -> None:
    with far_side(lambda _: Said(429, None, {"Retry-After": "30"})) as side:
        api = Api("Test", side.url, {}, (), Deadline(5))
        assert api.call("GET", "/").status == 429
        assert len(side.asked) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(guard: Guard, status: int) -> None:
    with far_side(_hello) as thief, far_side(lambda _: Said(status, None, {"Location": thief.url})) as side:
        with pytest.raises(DnsFailure, match="to another address, where it does not go"):
            _api(side, guard).call("POST", "/", data={})
        assert thief.asked == []


def test_secrets_are_blanked_in_every_spelling(guard: Guard) -> None:
    def echo(asked: Asked) -> Said:
        return Said(400, f"{asked.headers['Authorization']} czNjcmV0LXZhbHVl \x1b[31m".encode())

    with far_side(echo) as side:
        answer = _api(side, guard).call("GET", "/")
    assert answer.detail == "Bearer (secret) (secret)"
    assert SECRET not in repr(answer)


def test_nobody_there_is_told_without_secrets(guard: Guard) -> None:
    with pytest.raises(DnsFailure, match="Test cannot be reached") as caught:
        Api("Test", "http://127.0.0.1:1", {}, (SECRET,), guard).call("GET", f"/{SECRET}")
    assert caught.value.cause == "dns_provider"
    assert caught.value.__cause__ is None
    assert SECRET not in caught.value.detail


def test_a_connection_that_breaks_is_made_again(guard: Guard) -> None:
    with far_side(_hello) as side:
        side.broken = 2
        assert _api(side, guard).call("POST", "/", data={}).ok
        assert side.broken == 0


def test_an_answer_without_end_is_cut_off(guard: Guard) -> None:
    with far_side(lambda _: Said(200, b"x" * (5 << 20))) as side, pytest.raises(DnsFailure, match="too long"):
        _api(side, guard).call("GET", "/")


def test_a_certificate_that_nobody_trusts_is_not_taken(guard: Guard) -> None:
    with far_side(_hello) as side, pytest.raises(DnsFailure, match="cannot be reached"):
        Api("Test", side.url.replace("http:", "https:"), {}, (), guard).call("GET", "/")


@pytest.mark.parametrize("header", ["a\r\nX-Evil: 1", "grün"])
def test_a_header_that_ends_early_is_refused(guard: Guard, header: str) -> None:
    with pytest.raises(DnsFailure, match="cannot take") as caught:
        Api("Test", "http://127.0.0.1:1", {"Authorization": header}, (), guard)
    assert header not in caught.value.message


class Peer(socket.socket):
    """A connection that a name led to somewhere else."""

    def getpeername(self) -> tuple[str, int]:
        return "169.254.169.254", 80


def test_a_connection_is_looked_at_before_anything_is_sent() -> None:
    peer = Peer()
    with pytest.raises(DnsFailure, match=r"does not speak to 169.254.169.254"):
        look_at(peer, plain=False)
    assert peer.fileno() == -1, "closed"


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "fe80::1%eth0",
        "::ffff:169.254.169.254",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "ff02::1",
        "100.100.100.200",
        "192.0.0.192",
        "168.63.129.16",
        "fd00:ec2::254",
        "fd20:ce::254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
    ],
)
def test_metadata_and_link_local_addresses_are_refused(address: str) -> None:
    with pytest.raises(DnsFailure, match="does not speak to"):
        refuse_address(address)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.0.0.1", "192.168.1.1", "fd12::1", "::ffff:127.0.0.1"])
def test_plain_http_is_for_addresses_of_ones_own(address: str) -> None:
    refuse_address(address, plain=True)


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888", "1.1.1.1"])
def test_plain_http_to_the_world_is_refused(address: str) -> None:
    refuse_address(address)
    with pytest.raises(DnsFailure, match="without TLS"):
        refuse_address(address, plain=True)


def test_a_good_address_loses_its_slash() -> None:
    assert check_url("https://dns.example.com:8443/hook/", "Address") == "https://dns.example.com:8443/hook"
