"""Saved, sent, proved, refused: what an apply brings and what is live after it."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from panel.errors import Conflict, Forbidden, Invalid
from panel.extensions import db, transaction
from panel.models import Agent, Command, CommandKind, CommandState, ConfigContent, Event, ProxyHost, Revision, User
from panel.models.types import utcnow
from panel.services import commands, deployments, proxy_hosts
from panel.services.proxy_hosts import ProxyHostSpec
from tests.conftest import store
from tests.panel.nginx.servers import nginx_version, write_bundle

pytestmark = pytest.mark.usefixtures("context")

REFUSAL = 'invalid parameter "resolve" in /x/hosts/1-app.example.com.conf:6'


@pytest.fixture
def spec(agent: Agent) -> ProxyHostSpec:
    return ProxyHostSpec(agent.id, ("app.example.com",), "http", "10.0.0.5", 3000, websocket=False)


@pytest.fixture
def save(context: None, spec: ProxyHostSpec) -> Callable[..., ProxyHost]:
    def create(name: str = "app.example.com", **values: Any) -> ProxyHost:
        with transaction():
            return proxy_hosts.create(replace(spec, domain_names=(name,), **values), None)

    return create


def update(host: ProxyHost, **values: Any) -> ProxyHost:
    with transaction():
        return proxy_hosts.update(host, replace(proxy_hosts.spec_of(host), **values), None, version=host.version)


def send(command: Command) -> Command:
    """What the stream does when it claims the command."""
    with transaction():
        command.state = CommandState.SENT
        if command.kind == CommandKind.APPLY_CONFIG:
            deployments.freeze(command)
    return command


def enqueue(agent: Agent, actor: User | None = None, **options: Any) -> Command:
    with transaction():
        return deployments.apply(agent, actor, **options)


def prove(command: Command) -> Command:
    """The agent's proof for what it was sent."""
    with transaction():
        command.state, command.finished_at = CommandState.SUCCEEDED, utcnow()
        deployments.applied(command, command.payload["revision"])
    return command


def refuse(command: Command, *hosts: ProxyHost, line: int = 6, text: str = REFUSAL) -> None:
    manifest = command.payload["manifest"]
    paths = [path for path in manifest for host in hosts if path.startswith(f"hosts/{host.id}-")]
    assert len(paths) == len(hosts)
    with transaction():
        command.state, command.finished_at = CommandState.FAILED, utcnow()
        deployments.refused(command, [{"path": path, "line": line, "text": text} for path in paths])


def apply(agent: Agent) -> Command:
    """The whole way, with an agent to whom everything is right."""
    return prove(send(enqueue(agent, at_once=True)))


def queued(agent: Agent) -> Command:
    found = commands.find_open(agent.id, CommandKind.APPLY_CONFIG, CommandState.QUEUED)
    assert found is not None
    return found


def test_what_is_saved_is_rendered_when_it_is_sent(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    save()
    command = enqueue(agent)
    assert command.payload == {}
    save("late.example.com")
    payload = send(command).payload
    assert payload["generation"] == 2
    assert sorted(payload["manifest"]) == [
        "default.conf",
        "hosts/1-app.example.com.conf",
        "hosts/2-late.example.com.conf",
        "http.conf",
    ]
    for sha256 in payload["manifest"].values():
        assert deployments.content(sha256)
    stored = db.session.scalar(select(Revision).where(Revision.revision == payload["revision"]))
    assert stored is not None
    assert stored.manifest == payload["manifest"]


def test_live_is_said_only_after_proof(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    host = save()
    command = send(enqueue(agent))
    assert agent.applied_generation == 0
    assert not host.is_live
    prove(command)
    assert (agent.applied_generation, agent.applied_revision) == (1, command.payload["revision"])
    assert host.live_path == "hosts/1-app.example.com.conf"
    assert host.live_sha256 == command.payload["manifest"][host.live_path]
    assert not host.has_unapplied_changes
    assert deployments.unapplied_hosts() == []


def test_what_was_saved_while_an_apply_ran_is_not_live(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    host = save()
    command = send(enqueue(agent))
    update(host, forward_port=4000)
    prove(command)
    assert host.has_unapplied_changes
    assert agent.has_unapplied_changes
    assert deployments.unapplied_hosts(agent) == [host]


def test_a_queued_apply_takes_later_changes_along(agent: Agent, save: Callable[..., ProxyHost], bob: User) -> None:
    save()
    first = enqueue(agent, bob)
    save("b.example.com")
    assert enqueue(agent, bob).id == first.id
    send(first)
    assert enqueue(agent, bob).id != first.id


def test_the_first_edit_goes_at_once_and_the_next_waits_for_the_pause(
    agent: Agent, save: Callable[..., ProxyHost]
) -> None:
    save()
    first = enqueue(agent, interval=30.0)
    assert first.not_before is None
    prove(send(first))
    save("b.example.com")
    second = enqueue(agent, interval=30.0)
    assert second.not_before is not None
    assert first.finished_at is not None
    assert second.not_before == first.finished_at + timedelta(seconds=30)
    assert enqueue(agent, at_once=True).id == second.id
    assert second.not_before is None


def test_a_viewer_applies_and_tests_nothing(
    agent: Agent, save: Callable[..., ProxyHost], spec: ProxyHostSpec, charlie: User, bob: User
) -> None:
    save()
    enqueue(agent, bob)
    for verb in (
        lambda: deployments.apply(agent, charlie),
        lambda: deployments.apply_all(charlie),
        lambda: deployments.test_draft(None, replace(spec, domain_names=("x.example.com",)), agent, charlie),
    ):
        with pytest.raises(Forbidden), transaction():
            verb()


def test_disabled_deleted_and_moved_hosts_leave_with_the_next_apply(
    app: Flask, agent: Agent, save: Callable[..., ProxyHost]
) -> None:
    other = store(app, Agent(id="7d5f4a0e-0000-4000-8000-000000000002", name="other", joined_at=utcnow()))
    disabled, deleted, moved, stays = (save(f"{name}.example.com") for name in "abcd")
    apply(agent)
    with transaction():
        proxy_hosts.set_enabled(disabled, False, None)
        proxy_hosts.delete(deleted, None)
    update(moved, agent_id=other.id)
    assert deployments.unapplied_hosts(agent) == [disabled, deleted]
    with transaction():
        sent = deployments.apply_all(None)
    assert [command.agent_id for command in sent] == [agent.id, other.id]
    for command in sent:
        prove(send(command))
    assert [host.is_live for host in (disabled, deleted, moved, stays)] == [False, False, True, True]
    assert deployments.unapplied_hosts() == []
    with transaction():
        assert deployments.apply_all(None) == []


def test_a_host_deleted_before_it_was_ever_live_is_no_change_to_show(
    agent: Agent, save: Callable[..., ProxyHost]
) -> None:
    host = save()
    with transaction():
        proxy_hosts.delete(host, None)
    assert deployments.unapplied_hosts(agent) == []


def test_a_refused_host_is_set_aside_alone_and_the_others_are_sent_again(
    agent: Agent, save: Callable[..., ProxyHost]
) -> None:
    bad, good = save(), save("good.example.com")
    first = send(enqueue(agent))
    refuse(first, bad, line=5)
    assert bad.is_refused
    assert (bad.refused_text, bad.refused_line, bad.refused_command_id) == (REFUSAL, 5, first.id)
    assert bad.refused_field == "forward_host"
    assert not good.is_refused
    second = queued(agent)
    assert (second.retry_of_id, second.created_by_id, second.not_before) == (first.id, None, None)
    assert "hosts/1-app.example.com.conf" not in send(second).payload["manifest"]
    prove(second)
    assert (good.is_live, bad.is_live) == (True, False)
    assert deployments.unapplied_hosts() == [bad]
    recorded = db.session.scalar(select(Event).where(Event.verb == "proxy_host:refuse"))
    assert recorded is not None
    assert recorded.command_id == first.id


def test_the_last_good_version_of_a_refused_host_keeps_serving(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    host = save()
    apply(agent)
    live = host.live_sha256
    update(host, domain_names=("renamed.example.com",), forward_port=4000)
    refuse(send(enqueue(agent, at_once=True)), host)
    manifest = send(queued(agent)).payload["manifest"]
    assert manifest["hosts/1-app.example.com.conf"] == live
    assert "hosts/1-renamed.example.com.conf" not in manifest
    prove(commands.get(_last(agent).id))
    assert host.is_live
    assert host.is_refused


def _last(agent: Agent) -> Command:
    found = db.session.scalar(select(Command).where(Command.agent_id == agent.id).order_by(Command.seq.desc()).limit(1))
    assert found is not None
    return found


def test_all_refused_files_of_one_round_are_set_aside(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    hosts = [save(f"{name}.example.com") for name in "abc"]
    refuse(send(enqueue(agent)), hosts[0], hosts[2])
    assert [host.is_refused for host in hosts] == [True, False, True]
    assert len(db.session.scalars(select(Command)).all()) == 2


def test_a_live_file_that_nginx_no_longer_reads_does_not_block_the_others_for_ever(
    agent: Agent, save: Callable[..., ProxyHost]
) -> None:
    host = save()
    apply(agent)
    update(host, forward_port=4000)
    refuse(send(enqueue(agent, at_once=True)), host)
    refuse(send(queued(agent)), host, text="unknown directive")
    assert host.refused_text == REFUSAL
    assert not host.is_live
    assert [path for path in send(queued(agent)).payload["manifest"] if path.startswith("hosts/")] == []


def test_a_host_saved_again_meanwhile_is_not_called_refused(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    host = save()
    command = send(enqueue(agent))
    update(host, forward_port=4000)
    refuse(command, host)
    assert not host.is_refused
    assert "hosts/1-app.example.com.conf" in send(queued(agent)).payload["manifest"]


def test_saving_a_refused_host_again_has_it_tried_again(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    host = save()
    refuse(send(enqueue(agent)), host)
    prove(send(queued(agent)))
    update(host, forward_port=4000)
    assert "hosts/1-app.example.com.conf" in send(enqueue(agent, at_once=True)).payload["manifest"]


def test_another_hosts_apply_does_not_try_refused_ones_again(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    bad = save()
    refuse(send(enqueue(agent)), bad)
    prove(send(queued(agent)))
    save("good.example.com")
    assert "hosts/1-app.example.com.conf" not in send(enqueue(agent, at_once=True)).payload["manifest"]
    assert bad.is_refused


@pytest.mark.parametrize("again", ["apply", "apply_all", "retry"])
def test_asking_again_tries_refused_hosts_again(
    agent: Agent, save: Callable[..., ProxyHost], bob: User, again: str
) -> None:
    host = save()
    first = send(enqueue(agent))
    refuse(first, host)
    prove(send(queued(agent)))
    with transaction():
        if again == "apply":
            command = deployments.apply(agent, bob, at_once=True)
        elif again == "apply_all":
            command = deployments.apply_all(bob)[0]
        else:
            command = commands.retry(first, bob)
    assert "hosts/1-app.example.com.conf" in send(command).payload["manifest"]
    assert not host.is_refused


@pytest.mark.parametrize("path", ["http.conf", "default.conf", "hosts/99-gone.example.conf", "hosts/1-other.conf"])
def test_a_refused_file_of_no_host_fails_plainly(agent: Agent, save: Callable[..., ProxyHost], path: str) -> None:
    host = save()
    command = send(enqueue(agent))
    with transaction():
        command.state = CommandState.FAILED
        deployments.refused(command, [{"path": path, "line": 3, "text": "unknown directive"}])
    assert agent.apply_error == f"nginx refused {path}, line 3: unknown directive"
    assert agent.apply_error_command_id == command.id
    assert not host.is_refused
    assert commands.find_open(agent.id, CommandKind.APPLY_CONFIG) is None


def test_a_failure_stays_until_something_is_proved(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    save()
    command = send(enqueue(agent))
    with transaction():
        command.state = CommandState.FAILED
        deployments.failed(command, "nginx did not take the new configuration.")
    assert agent.apply_error == "nginx did not take the new configuration."
    assert agent.applied_generation == 0
    apply(agent)
    assert (agent.apply_error, agent.apply_error_command_id) == ("", None)


def test_a_proof_of_another_revision_makes_nothing_live(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    host = save()
    command = send(enqueue(agent))
    with transaction():
        deployments.applied(command, "f" * 64)
    assert not host.is_live
    assert "another revision" in agent.apply_error


def test_a_saved_value_that_cannot_be_written_sets_its_host_aside(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    bad, _good = save(), save("good.example.com")
    with transaction():
        bad.forward_host = "10.0.0.5; return 200 pwned"
    manifest = send(enqueue(agent)).payload["manifest"]
    assert [path for path in manifest if path.startswith("hosts/")] == ["hosts/2-good.example.com.conf"]
    assert bad.is_refused
    assert bad.refused_field == "forward_host"
    assert "pwned" not in "".join(db.session.scalars(select(ConfigContent.text)))


def test_an_agent_that_serves_what_was_proved_needs_nothing(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    save()
    apply(agent)
    with transaction():
        assert deployments.reconcile(agent, agent.applied_revision) is None


def test_an_agent_that_lost_its_files_gets_exactly_what_was_live(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    host = save()
    live = apply(agent).payload
    update(host, forward_port=4000)
    with transaction():
        command = deployments.reconcile(agent, "")
    assert command is not None
    assert send(command).payload["manifest"] == live["manifest"]
    prove(command)
    assert agent.applied_revision == live["revision"]
    assert (agent.applied_generation, agent.generation) == (1, 2)
    assert host.has_unapplied_changes


def test_an_agent_that_listens_elsewhere_now_gets_its_files_anew(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    host = save()
    apply(agent)
    with transaction():
        agent.http_port = 8080
        command = deployments.reconcile(agent, agent.applied_revision)
    assert command is not None
    prove(send(command))
    assert "listen 8080;" in (deployments.content(host.live_sha256) or "")
    update(host, forward_port=4000)
    with transaction():
        agent.http_port = 8081
        assert deployments.reconcile(agent, agent.applied_revision) is None


def test_a_new_agent_gets_its_first_apply(agent: Agent) -> None:
    with transaction():
        command = deployments.reconcile(agent, "")
    assert command is not None
    assert sorted(send(command).payload["manifest"]) == ["default.conf", "http.conf"]
    with transaction():
        assert deployments.reconcile(agent, "") is None


def test_applying_turns_a_queued_reconciliation_into_all_that_is_saved(
    agent: Agent, save: Callable[..., ProxyHost]
) -> None:
    host = save()
    apply(agent)
    update(host, forward_port=4000)
    with transaction():
        exact = deployments.reconcile(agent, "")
    assert exact is not None
    assert enqueue(agent).id == exact.id
    prove(send(exact))
    assert not host.has_unapplied_changes


def test_a_refused_reconciliation_fails_plainly(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    host = save()
    apply(agent)
    with transaction():
        exact = deployments.reconcile(agent, "")
    assert exact is not None
    refuse(send(exact), host)
    assert not host.is_refused
    assert agent.apply_error.startswith("nginx refused hosts/1-app.example.com.conf, line 6")


def test_a_draft_is_tested_with_everything_else_and_saved_nowhere(
    agent: Agent, save: Callable[..., ProxyHost], spec: ProxyHostSpec, bob: User
) -> None:
    save()
    with transaction():
        command = deployments.test_draft(None, replace(spec, domain_names=("new.example.com",)), agent, bob)
    assert command.kind == CommandKind.TEST_CONFIG
    assert sorted(command.payload["manifest"]) == [
        "default.conf",
        "hosts/1-app.example.com.conf",
        "hosts/new-new.example.com.conf",
        "http.conf",
    ]
    assert all(deployments.content(sha256) for sha256 in command.payload["manifest"].values())
    assert db.session.query(ProxyHost).count() == 1
    assert agent.generation == 1


def test_a_draft_of_a_saved_host_takes_its_place(agent: Agent, save: Callable[..., ProxyHost], bob: User) -> None:
    host = save()
    draft = replace(proxy_hosts.spec_of(host), forward_port=4000)
    with transaction():
        command = deployments.test_draft(host, draft, agent, bob)
    files = [path for path in command.payload["manifest"] if path.startswith("hosts/")]
    assert files == ["hosts/1-app.example.com.conf"]
    assert "10.0.0.5:4000" in (deployments.content(command.payload["manifest"][files[0]]) or "")
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
    assert (" ", "    keepalive 16;") in changed.diff
    assert deployments.preview(host, proxy_hosts.spec_of(host), agent).diff == []
    assert (
        deployments.preview(None, replace(draft, domain_names=("x.example",)), agent).path == "hosts/new-x.example.conf"
    )


def test_a_preview_of_what_cannot_be_written_says_so(agent: Agent, spec: ProxyHostSpec) -> None:
    shown = deployments.preview(None, replace(spec, forward_host="a b"), agent)
    assert shown.text == ""
    assert "is a space" in shown.problem


def test_a_revoked_agent_gets_nothing(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    save()
    with transaction():
        agent.revoked_at = utcnow()
    with pytest.raises(Conflict), transaction():
        deployments.apply(agent, None)
    with transaction():
        assert deployments.apply_all(None) == []
    assert deployments.unapplied_hosts() == []


@pytest.mark.skipif(nginx_version() >= (1, 27, 3), reason="this nginx reads `server … resolve`")
def test_a_real_refusal_of_a_real_nginx_ends_in_the_others_being_served(
    agent: Agent, save: Callable[..., ProxyHost], tmp_path: Path
) -> None:
    with transaction():
        agent.nginx_version, agent.http_port = "1.29.0", 8080  # what it said is not what it is
    bad, good = save(forward_host="app_1"), save("good.example.com")
    rounds = 0
    command = send(enqueue(agent))
    while errors := _test_with_nginx(tmp_path / str(rounds), agent):
        with transaction():
            command.state, command.finished_at = CommandState.FAILED, utcnow()
            deployments.refused(command, errors)
        command = send(queued(agent))
        rounds += 1
    prove(command)
    assert rounds == 1
    assert 'invalid parameter "resolve"' in bad.refused_text
    assert bad.refused_field == "forward_host"
    sent = deployments.content(next(iter(_manifests(bad))))
    assert sent is not None
    assert sent.splitlines()[bad.refused_line - 1].strip() == "server app_1:3000 resolve;"
    assert (bad.is_live, good.is_live) == (False, True)


def _test_with_nginx(folder: Path, agent: Agent) -> list[dict[str, Any]]:
    """What the agent finds out: which file nginx refuses, at which line, with which words."""
    folder.mkdir()
    conf = write_bundle(folder, deployments.bundle(agent), agent_port=9)
    said = subprocess.run(["nginx", "-t", "-q", "-c", str(conf)], capture_output=True, text=True).stderr.strip()
    found = re.search(
        rf"\[emerg\] (?P<text>.*) in {re.escape(str(folder))}/(?P<path>\S+):(?P<line>\d+)$", said, re.MULTILINE
    )
    assert bool(found) == bool(said), said
    return [] if found is None else [{**found.groupdict(), "line": int(found["line"])}]


def _manifests(host: ProxyHost) -> list[str]:
    """The contents that were ever sent for the host."""
    return [
        sha256
        for manifest in db.session.scalars(select(Revision.manifest))
        for path, sha256 in manifest.items()
        if path.startswith(f"hosts/{host.id}-")
    ]


def test_freezing_a_thousand_hosts_after_one_edit_is_cheap(agent: Agent, spec: ProxyHostSpec) -> None:
    with transaction():
        for number in range(1000):
            proxy_hosts.create(replace(spec, domain_names=(f"host{number}.example.com",)), None)
    apply(agent)
    update(proxy_hosts.get(500), forward_port=4000)
    command = enqueue(agent, at_once=True)
    began = time.perf_counter()
    send(command)
    assert time.perf_counter() - began < 1.0  # measured: about 0.1 s
    assert len(command.payload["manifest"]) == 1002
