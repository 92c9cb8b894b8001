"""Testing and previewing what is not saved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from panel.errors import Invalid
from panel.extensions import db, transaction
from panel.models import Agent, Command, CommandKind, ProxyHost, User
from panel.services import deployments, proxy_hosts
from panel.services.proxy_hosts import ProxyHostSpec
from tests.panel.services.deploying import apply, files_of

pytestmark = pytest.mark.usefixtures("context")


def test_a_draft_is_tested_with_everything_else_and_saved_nowhere(
    agent: Agent, save: Callable[..., ProxyHost], spec: ProxyHostSpec, bob: User
) -> None:
    save()
    with transaction():
        command = deployments.test_draft(None, replace(spec, domain_names=("new.example.com",)), agent, bob)
    assert command.kind == CommandKind.TEST_CONFIG
    assert sorted(files_of(command)) == [
        "default.conf",
        "hosts/1-app.example.com.conf",
        "hosts/new-new.example.com.conf",
        "http.conf",
    ]
    assert all(deployments.content(sha256) for sha256 in files_of(command).values())
    assert db.session.query(ProxyHost).count() == 1
    assert agent.generation == 1


def test_a_draft_of_a_saved_host_takes_its_place(agent: Agent, save: Callable[..., ProxyHost], bob: User) -> None:
    host = save()
    draft = replace(proxy_hosts.spec_of(host), forward_port=4000)
    with transaction():
        command = deployments.test_draft(host, draft, agent, bob)
    files = [path for path in files_of(command) if path.startswith("hosts/")]
    assert files == ["hosts/1-app.example.com.conf"]
    assert "10.0.0.5:4000" in (deployments.content(files_of(command)[files[0]]) or "")
    assert (host.forward_port, host.version) == (3000, 1)


@pytest.mark.parametrize(
    ("field", "value"),
    [("domain_names", ("app.example.com",)), ("domain_names", ("a;b",)), ("forward_host", "unix:/x")],
)
def test_a_draft_that_could_not_be_saved_is_not_tested(
    agent: Agent, save: Callable[..., ProxyHost], spec: ProxyHostSpec, field: str, value: Any
) -> None:
    save()
    draft = replace(spec, **{"domain_names": ("new.example.com",), field: value})
    with pytest.raises(Invalid) as refusal, transaction():
        deployments.test_draft(None, draft, agent, None)
    assert refusal.value.field == field
    assert db.session.query(Command).count() == 0


def test_a_preview_shows_the_file_and_how_it_differs_from_the_live_one(
    agent: Agent, save: Callable[..., ProxyHost]
) -> None:
    host = save()
    draft = replace(proxy_hosts.spec_of(host), forward_port=4000)
    new = deployments.preview(host, draft, agent)
    assert new.live_text == ""
    assert {sign for sign, _text in new.diff} == {"@", "+"}
    apply(agent)
    changed = deployments.preview(host, draft, agent)
    assert changed.path == "hosts/1-app.example.com.conf"
    assert ("-", "    server 10.0.0.5:3000;") in changed.diff
    assert ("+", "    server 10.0.0.5:4000;") in changed.diff
    assert (" ", "    keepalive 8;") in changed.diff
    assert deployments.preview(host, proxy_hosts.spec_of(host), agent).diff == []
    assert (
        deployments.preview(None, replace(draft, domain_names=("x.example",)), agent).path == "hosts/new-x.example.conf"
    )


def test_a_preview_of_what_cannot_be_written_says_so(agent: Agent, spec: ProxyHostSpec) -> None:
    shown = deployments.preview(None, replace(spec, forward_host="a b"), agent)
    assert shown.text == ""
    assert "is a space" in shown.problem
