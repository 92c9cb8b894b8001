"""Rules of a host that hide the challenge, in a real nginx; and those that do not.
May import: agent.acme, tests.agent.acme.check."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.acme.check.path import check_path
from agent.acme.check.probe import Token
from agent.acme.http01 import FOLDER, TokenFiles
from agent.acme.spec import Finding, Level
from tests.agent.acme.check.world import PASS, World, is_error, running_nginx, running_silence
from tests.pebble import make_certificate

NAME = "app.test"
CERTIFICATE = "ssl_certificate FOLDER/server.pem; ssl_certificate_key FOLDER/server.key;"


def check(world: World, name: str = NAME) -> Finding:
    token = Token(f"/{FOLDER}/abcdefghijklmnopqrstuvwx", "what the file says")
    with TokenFiles(world.layout.webroot) as files:
        files.write("abcdefghijklmnopqrstuvwx", token.text)
        return check_path(name, token, world.question(world.spec(name)))


def server(rules: str, include: str = PASS) -> str:
    return f"server {{ listen 127.0.0.1:PORT; server_name {NAME}; {rules} {include} }}\n"


@pytest.mark.parametrize(
    "rules",
    [
        "",
        "location / { return 301 https://$host$request_uri; }",
        "location ~ /\\. { deny all; }",
        "location / { auth_basic a; auth_basic_user_file /dev/null; }",
        "location / { deny all; }",
    ],
)
def test_rules_in_locations_do_not_matter(world: World, rules: str) -> None:
    with running_nginx(world, server(rules)):
        assert check(world).level is Level.OK


@pytest.mark.parametrize(
    ("rules", "answer"),
    [
        ("if ($scheme = http) { return 403; }", "403"),
        ("return 410;", "410"),
        ("rewrite ^ /lost last; location / { return 418; }", "418"),
        ("auth_basic a; auth_basic_user_file /dev/null;", "401"),
        ("deny all;", "403"),
        ("return 301 https://elsewhere.test/;", "redirects to https://elsewhere.test/"),
    ],
)
def test_a_rule_of_the_server_hides_the_path_and_its_answer_is_said(world: World, rules: str, answer: str) -> None:
    with running_nginx(world, server(rules)):
        finding = check(world)
    assert is_error(finding, "path_shadowed")
    assert answer in finding.sentence
    assert finding.next_step


def test_a_location_without_its_mark_loses_to_one_for_hidden_files(world: World) -> None:
    plain = PASS.replace("^~ ", "")
    with running_nginx(world, server("location ~ /\\. { return 403; }", plain)):
        assert is_error(check(world), "path_shadowed")


def test_a_limit_of_requests_lets_the_first_one_through_and_is_noticed(world: World) -> None:
    limit = "limit_req_zone $binary_remote_addr zone=z:1m rate=1r/m;\n"
    with running_nginx(world, limit + server("limit_req zone=z;")):
        finding = check(world)
    assert (finding.level, finding.cause) == (Level.WARNING, "path_shadowed")
    assert "503" in finding.sentence


def test_a_site_that_answers_200_with_something_else_is_noticed(world: World) -> None:
    with running_nginx(world, server("", 'location / { return 200 "welcome"; }')):
        assert is_error(check(world), "path_shadowed")


def test_a_redirect_to_https_of_the_same_site_is_followed_there(world: World) -> None:
    make_certificate(world.layout.root)
    tls = CERTIFICATE.replace("FOLDER", str(world.layout.root))
    secure = f"server {{ listen 127.0.0.1:TLS_PORT ssl; server_name {NAME}; {tls} {PASS} }}\n"
    with running_nginx(world, server("return 301 https://$host$request_uri;", "") + secure):
        finding = check(world)
    assert finding.level is Level.OK
    assert "by way of a redirect" in finding.sentence


def test_circles_are_said_as_such(world: World) -> None:
    with running_nginx(world, server("return 301 http://$host$request_uri;")):
        assert is_error(check(world), "redirect_loop")


@pytest.mark.parametrize("target", [f"https://{NAME}:8443/x", f"ftp://{NAME}/x", f"http://{NAME}:99999/x"])
def test_a_redirect_that_no_authority_follows_is_shown(world: World, target: str) -> None:
    with running_nginx(world, server(f"return 302 {target};")):
        finding = check(world)
    assert is_error(finding, "bad_redirect")
    assert target in finding.sentence


def test_a_name_without_a_host_is_answered_by_the_default_server(world: World) -> None:
    default = f'server {{ listen 127.0.0.1:PORT default_server; server_name ""; {PASS} location / {{ return 404; }} }}'
    with running_nginx(world, default):
        assert check(world, "nobody.test").level is Level.OK
        assert check(world, "192.0.2.7").level is Level.OK
        assert check(world, "2001:db8::7").level is Level.OK


def test_an_nginx_that_does_not_run_is_an_error(world: World) -> None:
    finding = check(world)
    assert is_error(finding, "port_closed")
    assert str(world.config.http_port) in finding.sentence


def test_an_nginx_that_hangs_is_a_warning_within_the_deadline(world: World) -> None:
    with running_silence() as port:
        world.config = replace(world.config, http_port=port)
        question = world.question(world.spec(NAME), seconds=0.2)
        finding = check_path(NAME, Token("/x", "y"), question)
    assert (finding.level, finding.cause) == (Level.WARNING, "port_closed")
