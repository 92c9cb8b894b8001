"""Ports that cannot be had are named with what they are for, who has them and what to change.
May import: panel.embedded and the standard library."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from panel.embedded.ports import Port, complaints


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that this process listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_free_ports_get_no_complaint() -> None:
    assert complaints([Port(free_port(), "127.0.0.1", "the panel", "PANEL_PORT")]) == []


def test_a_port_in_use_is_named_with_its_purpose_its_owner_and_the_variable(taken: int) -> None:
    (sentence,) = complaints([Port(taken, "127.0.0.1", "the panel", "PANEL_PORT")])
    assert f"Port {taken} (the panel) is already used" in sentence
    assert f"(process {os.getpid()})" in sentence
    assert "PANEL_PORT=" in sentence


def test_a_port_in_use_on_one_address_is_in_use_for_all_addresses(taken: int) -> None:
    (sentence,) = complaints([Port(taken, "0.0.0.0", "nginx, plain HTTP", "AGENT_HTTP_PORT")])
    assert "already used" in sentence
    assert "AGENT_HTTP_PORT=" in sentence


def test_one_port_for_two_purposes_is_said_once_with_both_variables() -> None:
    port = free_port()
    (sentence,) = complaints(
        [Port(port, "127.0.0.1", "the panel", "PANEL_PORT"), Port(port, "0.0.0.0", "nginx", "AGENT_HTTP_PORT")]
    )
    assert "PANEL_PORT" in sentence
    assert "AGENT_HTTP_PORT" in sentence


def test_an_address_of_another_machine_is_refused_with_a_sentence() -> None:
    (sentence,) = complaints([Port(free_port(), "192.0.2.1", "the panel", "PANEL_PORT")])
    assert "192.0.2.1" in sentence
    assert "cannot be used" in sentence
