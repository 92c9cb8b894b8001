"""A publication from beginning to end with real name servers: everybody sees it, and nothing of it stays."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from agent.dns.publish import publish, withdraw
from agent.dns.spec import DnsFailure, TxtRecord
from agent.errors import Cancelled
from agent.nginx.guard import Guard
from agent.output import OutputLine
from tests.agent.dns.conftest import Lines
from tests.agent.dns.servers import NameServer, bind, free_port, knot, needs_knot, needs_named, zone_text

CHALLENGE = "_acme-challenge.example.test"


@needs_knot
def test_a_name_and_its_wildcard_are_there_together_and_then_gone(
    world: NameServer, lines: Lines, guard: Guard
) -> None:
    world.put("example.test", CHALLENGE, "of-somebody-else")
    records = [TxtRecord(CHALLENGE, "apex"), TxtRecord(CHALLENGE, "wildcard")]
    with publish(world.credential(), records, lines.output, guard, resolver=world.settings):
        assert world.texts(CHALLENGE) == {"of-somebody-else", "apex", "wildcard"}
    assert world.texts(CHALLENGE) == {"of-somebody-else"}
    assert f"ns1.example.test (127.0.0.1) shows the record: {CHALLENGE}" in lines.of("ok")
    assert f"Removed {CHALLENGE} TXT apex" in lines.text
    assert lines.of("warning") == []


@needs_knot
def test_a_delegated_challenge_is_written_where_it_leads(world: NameServer, lines: Lines, guard: Guard) -> None:
    record = TxtRecord("_acme-challenge.delegated.example.test.", "value")
    with publish(world.credential(), [record], lines.output, guard, resolver=world.settings):
        assert world.texts("delegated-challenge.other.test") == {"value"}
    assert world.texts("delegated-challenge.other.test") == set()
    assert "is delegated to delegated-challenge.other.test" in lines.text


@needs_knot
def test_an_attempt_after_a_crash_finds_its_own_value(world: NameServer, lines: Lines, guard: Guard) -> None:
    world.put("example.test", "_acme-challenge.crashed.example.test", "mine")
    record = TxtRecord("_acme-challenge.crashed.example.test", "mine")
    with publish(world.credential(), [record, record], lines.output, guard, resolver=world.settings):
        assert world.texts(record.name) == {"mine"}
    assert world.texts(record.name) == set()


@needs_knot
def test_what_a_killed_agent_left_is_taken_away(world: NameServer, lines: Lines) -> None:
    name = "_acme-challenge.left.example.test"
    for value in ("mine", "of-somebody-else"):
        world.put("example.test", name, value)
    withdraw(world.credential(), [TxtRecord(name, "mine")], lines.output, resolver=world.settings)
    assert world.texts(name) == {"of-somebody-else"}
    withdraw(world.credential(server=""), [TxtRecord(name, "mine")], lines.output, resolver=world.settings)
    assert lines.of("warning")[0].startswith("Records of an earlier try may be left in DNS: ")


@needs_knot
@pytest.mark.parametrize("error", [RuntimeError("the order failed"), KeyboardInterrupt()])
def test_values_are_removed_when_the_order_fails(
    world: NameServer, lines: Lines, guard: Guard, error: BaseException
) -> None:
    record = TxtRecord("_acme-challenge.failed.example.test", "value")
    with (
        pytest.raises(type(error)),
        publish(world.credential(), [record], lines.output, guard, resolver=world.settings),
    ):
        raise error
    assert world.texts(record.name) == set()


@needs_knot
def test_a_cancel_ends_the_wait_and_values_are_removed(world: NameServer, lines: Lines) -> None:
    guard = Guard(time.monotonic() + 60, threading.Event(), threading.Event())

    def cancel(line: OutputLine) -> None:
        if "Waiting" in line.text:
            guard.cancelled.set()

    lines.listeners.append(cancel)
    record = TxtRecord("_acme-challenge.cancelled.example.test", "value")
    began = time.monotonic()
    with (
        pytest.raises(Cancelled),
        publish(world.credential(), [record], lines.output, guard, propagation_seconds=30, resolver=world.settings),
    ):
        pytest.fail("it went on")
    assert time.monotonic() - began < 10
    assert world.texts(record.name) == set()


@needs_knot
def test_a_fixed_wait_asks_nobody(world: NameServer, lines: Lines, guard: Guard) -> None:
    record = TxtRecord("_acme-challenge.fixed.example.test", "value")
    with publish(world.credential(), [record], lines.output, guard, propagation_seconds=1, resolver=world.settings):
        assert world.texts(record.name) == {"value"}
    assert "name servers, as the certificate says" in lines.text
    assert lines.of("ok") == []


@needs_knot
def test_the_wait_is_for_the_slowest_name_server(tmp_path: Path, lines: Lines, guard: Guard) -> None:
    port = free_port("127.0.0.1", "127.0.0.2")
    zones = {"example.test": zone_text("example.test", addresses=("127.0.0.1", "127.0.0.2"))}
    with (
        knot(tmp_path / "one", zones, "127.0.0.1", port) as first,
        knot(tmp_path / "two", zones, "127.0.0.2", port) as second,
    ):

        def catch_up(line: OutputLine) -> None:
            if "ns2.example.test (127.0.0.2) does not show it yet" in line.text:
                second.put("example.test", CHALLENGE, "value")

        lines.listeners.append(catch_up)
        with publish(first.credential(), [TxtRecord(CHALLENGE, "value")], lines.output, guard, resolver=first.settings):
            assert first.texts(CHALLENGE) == second.texts(CHALLENGE) == {"value"}
    assert lines.of("ok") == [
        f"ns1.example.test (127.0.0.1) shows the record: {CHALLENGE}",
        f"ns2.example.test (127.0.0.2) shows the record: {CHALLENGE}",
    ]


@needs_knot
def test_a_cleanup_that_fails_names_the_record_and_hides_nothing(tmp_path: Path, lines: Lines, guard: Guard) -> None:
    records = [TxtRecord(CHALLENGE, "value")]
    with (
        knot(tmp_path, {"example.test": zone_text("example.test")}) as server,
        pytest.raises(RuntimeError, match="of the order"),
        publish(server.credential(), records, lines.output, guard, resolver=server.settings),
    ):
        _fail_after_killing(server)
    (warning,) = lines.of("warning")
    assert f"remove it by hand: {CHALLENGE} TXT value" in warning


@needs_named
def test_bind_with_an_update_policy_takes_two_values(tmp_path: Path, lines: Lines, guard: Guard) -> None:
    records = [TxtRecord(CHALLENGE, "apex"), TxtRecord(CHALLENGE, "wildcard")]
    with bind(tmp_path, {"example.test": zone_text("example.test")}) as server:
        with publish(server.credential(), records, lines.output, guard, resolver=server.settings):
            assert server.texts(CHALLENGE) == {"apex", "wildcard"}
        assert server.texts(CHALLENGE) == set()


@needs_knot
@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"secret": "d3Jvbmc="}, "does not accept the key waypost"),
        ({"key_name": "nobody"}, "does not accept the key nobody"),
        ({"key_name": "reader"}, "it may not change zone example.test|does not accept the key reader"),
        ({"zone": "other.test"}, "is not in zone other.test"),
    ],
)
def test_wrong_keys_are_told_apart_from_missing_rights(
    world: NameServer, lines: Lines, guard: Guard, fields: dict[str, str], sentence: str
) -> None:
    record = TxtRecord("_acme-challenge.wrong.example.test", "value")
    with (
        pytest.raises(DnsFailure, match=sentence) as caught,
        publish(world.credential(**fields), [record], lines.output, guard, resolver=world.settings),
    ):
        pytest.fail("it went on")
    assert caught.value.cause == "dns_credential"
    assert caught.value.next_step
    assert world.texts(record.name) == set()


@needs_knot
def test_a_name_without_a_zone_is_told_before_anything_is_written(
    world: NameServer, lines: Lines, guard: Guard
) -> None:
    record = TxtRecord("_acme-challenge.nowhere.invalid", "value")
    with (
        pytest.raises(DnsFailure, match="No name server knows a zone"),
        publish(world.credential(), [record], lines.output, guard, resolver=world.settings),
    ):
        pytest.fail("it went on")
    assert lines.text == ""


def _fail_after_killing(server: NameServer) -> None:
    """The cleanup will find nobody."""
    server.kill()
    raise RuntimeError("of the order")
