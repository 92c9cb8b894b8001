"""The whole check: everything at once, against a real Pebble and nginx, and when nothing at all answers.
May import: agent.acme, tests.agent.acme.check, tests.pebble."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from pathlib import Path

import pytest

import agent.acme.check
from agent.acme.causes import CAUSES
from agent.acme.check import NameServers, check
from agent.acme.check.run import GRACE
from agent.acme.check.surroundings import SECONDS
from agent.acme.spec import Authority, Level
from tests.agent.acme.check.world import PASS, World, of, only, running_nginx, running_silence
from tests.pebble import running_challtestsrv, running_pebble

DEFAULT = f'server {{ listen 127.0.0.1:PORT default_server; server_name ""; {PASS} location / {{ return 404; }} }}'
SHADOWED = "server { listen 127.0.0.1:PORT; server_name shut.test; deny all; }"


def test_all_is_well_on_a_laptop_and_one_bad_name_does_not_hide_the_others(world: World, tmp_path: Path) -> None:
    with (
        running_challtestsrv() as dns,
        running_pebble(tmp_path / "pebble", dns_server=dns.dns_server, http_port=world.config.http_port) as pebble,
        running_nginx(world, f"{DEFAULT}\n{SHADOWED}"),
    ):
        authority = Authority(
            "1", "Pebble", pebble.directory_url, ca_pem=pebble.ca_pem, is_test=True, dns_server=dns.dns_server
        )
        names = [f"n{number}.test" for number in range(20)]
        found = check(world.spec(*names, authority=authority), world.surroundings())
        assert {finding.level for finding in found} == {Level.OK}
        assert len(of(found, "public")) == len(of(found, "path")) == len(of(found, "caa")) == 20
        assert pebble.log.count("GET /dir") <= 3  # start, and one for the check; nothing else is asked
        assert "order" not in pebble.log.lower().replace("orders per page", "")

        dns.set_servfail("n1.test.")
        found = check(world.spec("n0.test", "n1.test", "shut.test", authority=authority), world.surroundings())
        bad = {(finding.check, finding.subject) for finding in found if finding.level is Level.ERROR}
        assert bad == {("address", "n1.test"), ("caa", "n1.test"), ("path", "shut.test"), ("public", "shut.test")}
        assert only([one for one in of(found, "public") if one.subject == "n0.test"]).level is Level.OK
    assert list((world.layout.webroot / ".well-known" / "acme-challenge").iterdir()) == []


def test_when_nothing_answers_it_is_over_at_its_deadline_and_says_of_each_thing_that_it_is_unknown(
    world: World,
) -> None:
    """The name servers, nginx and the directory take everything and answer nothing."""
    with running_silence() as port:
        world.config = replace(world.config, http_port=port)
        authority = Authority("1", "Silent CA", f"https://127.0.0.1:{port}/directory", is_test=True)
        names = [f"n{number}.test" for number in range(100)]
        here = world.surroundings(name_servers=NameServers((("127.0.0.1", port),) * 3), seconds=0.5)
        found = check(world.spec(*names, authority=authority), here)
    told = {(finding.check, finding.subject) for finding in found if finding.level is not Level.OK}
    assert told >= {("caa", name) for name in names} | {("path", name) for name in names} | {("directory", "")}
    assert not [finding for finding in found if finding.level is Level.ERROR]


def test_the_deadline_leaves_a_person_waiting_for_less_than_three_seconds() -> None:
    assert SECONDS + GRACE < 3


def test_a_name_that_is_refused_is_never_looked_up(world: World) -> None:
    with running_challtestsrv() as dns:
        authority = Authority("1", "CA", "https://127.0.0.1:1/", is_test=True, dns_server=dns.dns_server)
        found = check(world.spec("a..test", "b.test", authority=authority), world.surroundings())
    assert {finding.subject for finding in found if finding.check != "names"} <= {"", "b.test"}


def test_a_webroot_that_cannot_be_written_is_an_error_of_the_path(world: World) -> None:
    (world.layout.webroot / ".well-known").write_text("")
    found = check(world.spec("a.test"), world.surroundings())
    finding = only(of(found, "path"))
    assert (finding.level, finding.cause) == (Level.ERROR, "storage")


def test_findings_come_in_the_order_of_their_certainty(world: World) -> None:
    found = check(world.spec("a.test"), world.surroundings())
    order = ["names", "storage", "clock", "directory", "address", "caa", "path", "public", "dns", "limits"]
    positions = [order.index(finding.check) for finding in found]
    assert positions == sorted(positions)


def source_strings() -> set[str]:
    """Every text constant of the package."""
    folder = Path(agent.acme.check.__file__).parent
    nodes = [node for file in folder.glob("*.py") for node in ast.walk(ast.parse(file.read_text()))]
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_every_cause_is_one_of_the_table(world: World) -> None:
    known = set(CAUSES)
    names = set(agent.acme.check.__all__)
    used = {text for text in source_strings() if re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)+", text)} - names
    assert used - known <= {"rate_limit"} - known, used - known
    assert {"no_address", "caa_forbids", "path_shadowed", "duplicate_limit"} <= used


@pytest.mark.parametrize("level", [Level.WARNING, Level.ERROR])
def test_what_is_wrong_has_a_next_step(world: World, level: Level) -> None:
    with running_silence() as port:
        world.config = replace(world.config, http_port=port)
        here = world.surroundings(name_servers=NameServers((("127.0.0.1", port),)), seconds=0.3)
        found = check(world.spec("a.test", "a..b", "*.x.test"), here)
    wrong = [finding for finding in found if finding.level is level]
    assert wrong
    assert all(finding.next_step and finding.cause for finding in wrong)
