"""From saved to live: one apply per agent, what came of it, and what an apply would change.
May import: panel.services.{batching,bundles,commands,domain_names,events,host_queries,proxy_hosts} and below."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from difflib import unified_diff
from itertools import islice
from typing import Any

from sqlalchemy import or_, select

from panel.config import Config
from panel.extensions import db, wake_after_commit
from panel.i18n import mark
from panel.models import Agent, Command, CommandKind, CommandState, ProxyHost, User
from panel.models.types import utcnow
from panel.nginx import render
from panel.nginx.locate import locate_field
from panel.nginx.render import NginxFacts, UnsafeValue
from panel.services import batching, bundles, commands, domain_names, events, host_queries, proxy_hosts
from panel.services.bundles import bundle, content
from panel.services.proxy_hosts import ProxyHostSpec

__all__ = [
    "Preview",
    "applied",
    "apply",
    "apply_all",
    "bundle",
    "content",
    "failed",
    "freeze",
    "live_file",
    "live_files",
    "preview",
    "reconcile",
    "refused",
    "test_draft",
    "unapplied_hosts",
]

TEST_LIFETIME = timedelta(minutes=2)  # nobody waits longer for a draft's test
_TEXT_LENGTH = 2000  # of nginx's words about one file


def apply(
    agent: Agent,
    actor: User | None,
    *,
    at_once: bool = False,
    window: float = Config.apply_window,
    longest_wait: float = Config.apply_longest_wait,
) -> Command:
    """Asks the agent to become what is saved: a queued apply, or the one that is queued already.

    Edits within `window` seconds become one reload, and none waits longer than `longest_wait` seconds for others;
    `at_once` leaves the waiting out. With nothing new to bring, hosts that nginx refused are tried again.
    Raises Forbidden for viewers, Conflict for a revoked agent.
    """
    proxy_hosts.require_editor(actor)
    pause = timedelta(seconds=window)
    command = commands.find_open(agent.id, CommandKind.APPLY_CONFIG, CommandState.QUEUED)
    if command is None:
        due_at = None if at_once else batching.first_due_at(agent, pause)
        command = commands.enqueue(agent, CommandKind.APPLY_CONFIG, actor=actor, not_before=due_at)
    elif at_once:
        batching.hasten(command)
    else:
        batching.postpone(command, pause, timedelta(seconds=longest_wait))
    if not events.name_job(agent, command.id) and actor is not None:
        events.record(actor, "agent", "apply", agent.id, agent.name, command_id=command.id)
    if not agent.has_unapplied_changes:
        _try_refused_again(agent)
    return command


def apply_all(actor: User | None) -> list[Command]:
    """An apply for each agent that has something to apply; hosts that nginx refused are tried again."""
    proxy_hosts.require_editor(actor)
    refused_on = select(ProxyHost.agent_id).where(host_queries.IS_REFUSED)
    behind = or_(Agent.generation > Agent.applied_generation, Agent.id.in_(refused_on))
    agents = db.session.scalars(select(Agent).where(Agent.revoked_at.is_(None), behind).order_by(Agent.name)).all()
    sent = [apply(agent, actor, at_once=True) for agent in agents]
    for agent in agents:
        _try_refused_again(agent)
    return sent


def freeze(command: Command) -> None:
    """Decides what an apply brings, at the moment it is sent: renders, keeps the files, writes the payload.

    A reconciling apply brings exactly what it names already.
    """
    if command.payload.get("exact"):
        return
    if command.retry_of_id and command.created_by_id:
        _try_refused_again(command.agent)
    rendered = bundle(command.agent)
    bundles.store(command.agent, rendered)
    command.payload = {
        "generation": command.agent.generation,
        "revision": rendered.revision,
        "files": len(rendered.files),
    }
    db.session.flush()


def applied(command: Command, revision: str) -> None:
    """The agent proved that nginx serves `revision`: what that holds is live, and nothing else is."""
    agent, payload = command.agent, command.payload
    if revision != payload.get("revision"):
        failed(command, mark("The agent proved another revision than the one it was sent. Apply again."))
        return
    manifest = bundles.manifest_for(command)
    if not manifest:
        failed(command, mark("The panel no longer knows the files of the revision that the agent proved. Apply again."))
        return
    agent.applied_generation = max(agent.applied_generation, payload.get("generation", 0))
    agent.applied_revision = revision
    agent.applied_at = utcnow()
    agent.apply_error, agent.apply_error_command_id = "", None
    _mark_live(agent, manifest)
    _announce()


def refused(command: Command, file_errors: Sequence[Mapping[str, Any]]) -> None:
    """Files were refused before anything live was touched: sets their hosts aside, sends the others again.

    `file_errors` have path, line (0 when unknown) and text. Each round refuses a version that the one before held, or
    takes a live file away that nginx no longer reads, so that the rounds end.
    """
    hosts = [_host_of(command, error) for error in file_errors]
    if command.payload.get("exact") or not all(hosts):
        failed(command, _first_sentence(file_errors))
        return
    for host, error in zip(hosts, file_errors, strict=True):
        if host is not None:
            _set_aside(host, error, command)
    db.session.flush()
    queued = commands.find_open(command.agent_id, CommandKind.APPLY_CONFIG, CommandState.QUEUED)
    if queued is None:
        commands.enqueue(command.agent, CommandKind.APPLY_CONFIG, retry_of=command.id)
    else:
        batching.hasten(queued)
    _announce()


def failed(command: Command, error: str) -> None:
    """The apply brought nothing, or its outcome is not known; the sentence stays until one is proved."""
    command.agent.apply_error = error
    command.agent.apply_error_command_id = command.id
    db.session.flush()
    _announce()


def reconcile(agent: Agent, reported_revision: str) -> Command | None:
    """Brings an agent that serves something else than was proved back to exactly that.

    Never pushes what is merely saved, unless nothing was ever applied. When all that is saved is live, but its files
    would be others now (the agent listens on another port, the panel writes them better), they are sent anew.
    None when nothing needs to be sent, or an apply is under way already.
    """
    if commands.find_open(agent.id, CommandKind.APPLY_CONFIG) is not None:
        return None
    is_there = bool(agent.applied_revision) and agent.applied_revision == reported_revision
    manifest = bundles.manifest_of(agent, agent.applied_revision)
    is_outdated = manifest is not None and not render.is_shared_current(manifest, NginxFacts.of(agent))
    if (manifest is None and not is_there) or (is_outdated and not agent.has_unapplied_changes):
        return apply(agent, None, at_once=True)
    if is_there or manifest is None:
        return None
    payload = {"exact": True, "revision": agent.applied_revision, "files": len(manifest)}
    return commands.enqueue(agent, CommandKind.APPLY_CONFIG, payload=payload)


def test_draft(host: ProxyHost | None, spec: ProxyHostSpec, agent: Agent, actor: User | None) -> Command:
    """Has the agent's nginx test everything that is saved with this draft in it; nothing is saved or applied.

    Raises Forbidden, Invalid(field), Conflict for a revoked agent.
    """
    proxy_hosts.require_editor(actor)
    spec = proxy_hosts.check(replace(spec, agent_id=agent.id))
    domain_names.refuse_taken(agent.id, spec.domain_names, but_not=host)
    rendered = bundle(agent, draft=bundles.draft_of(host, spec))
    payload = {"revision": rendered.revision, "files": len(rendered.files)}
    command = commands.enqueue(agent, CommandKind.TEST_CONFIG, payload=payload, actor=actor, time_to_live=TEST_LIFETIME)
    bundles.store(agent, rendered)
    return command


@dataclass(frozen=True)
class Preview:
    """A host's file as an apply would write it, beside the live one; both texts may be empty.

    `diff` holds (sign, text): "+" new, "-" gone, " " both, "@" lines left out. `problem` says why there is no text.
    """

    path: str
    text: str
    live_text: str
    diff: list[tuple[str, str]]
    problem: str = ""


def preview(
    host: ProxyHost | None, spec: ProxyHostSpec, agent: Agent, live: Mapping[str, str] | None = None
) -> Preview:
    """The file of a draft against what is live on this agent. Saves nothing. `live` are texts by their hash, for
    callers who have read those of many hosts at once."""
    live_text = live_file(host, live) if host is not None and host.agent_id == agent.id else ""
    try:
        draft = bundles.draft_of(host, spec)
        file = render.render_host(draft, NginxFacts.of(agent), bundles.certificate_of(draft, agent))
    except UnsafeValue as error:
        return Preview(host.live_path if host else "", "", live_text, _diff(live_text, ""), str(error))
    return Preview(file.path, file.text, live_text, _diff(live_text, file.text))


def live_file(host: ProxyHost, live: Mapping[str, str] | None = None) -> str:
    """The file that nginx serves of the host now, out of `live` when that is given; empty when there is none."""
    if not host.is_live:
        return ""
    return (content(host.live_sha256) if live is None else live.get(host.live_sha256)) or ""


def live_files(hosts: Iterable[ProxyHost]) -> Mapping[str, str]:
    """The files that nginx serves of these hosts, by their hash; the number of queries does not depend on how many."""
    return bundles.contents(host.live_sha256 for host in hosts if host.is_live)


def unapplied_hosts(agent: Agent | None = None) -> list[ProxyHost]:
    """Hosts whose saved state is not live: changed, disabled and deleted ones, and those nginx refused."""
    is_visible = or_(ProxyHost.deleted_at.is_(None), host_queries.IS_LIVE)
    query = select(ProxyHost).join(Agent, Agent.id == ProxyHost.agent_id)
    query = query.where(host_queries.IS_UNAPPLIED, is_visible, Agent.revoked_at.is_(None))
    if agent is not None:
        query = query.where(ProxyHost.agent_id == agent.id)
    return list(db.session.scalars(query.order_by(Agent.name, ProxyHost.id)))


def _try_refused_again(agent: Agent) -> None:
    for host in db.session.scalars(select(ProxyHost).where(ProxyHost.agent_id == agent.id, host_queries.IS_REFUSED)):
        proxy_hosts.clear_refusal(host)
    db.session.flush()


def _mark_live(agent: Agent, manifest: Mapping[str, str]) -> None:
    """Writes each host's place in what is live; only rows that differ are touched."""
    files = {render.host_id_of(path): (path, sha256) for path, sha256 in manifest.items()}
    columns = select(ProxyHost.id, ProxyHost.live_path, ProxyHost.live_sha256).where(ProxyHost.agent_id == agent.id)
    rows = db.session.execute(columns).all()
    stale = iter([row.id for row in rows if (row.live_path, row.live_sha256) != files.get(row.id, ("", ""))])
    while ids := list(islice(stale, 500)):
        for host in db.session.scalars(select(ProxyHost).where(ProxyHost.id.in_(ids))):
            host.live_path, host.live_sha256 = files.get(host.id, ("", ""))
    db.session.flush()


def _host_of(command: Command, error: Mapping[str, Any]) -> ProxyHost | None:
    """The host whose file the error names, if that was in the bundle and the host is still this agent's."""
    host_id = render.host_id_of(error["path"]) if error["path"] in bundles.manifest_for(command) else None
    host = None if host_id is None else db.session.get(ProxyHost, host_id)
    return host if host is not None and host.agent_id == command.agent_id else None


def _set_aside(host: ProxyHost, error: Mapping[str, Any], command: Command) -> None:
    sha256 = bundles.manifest_for(command)[error["path"]]
    if sha256 == host.live_sha256:
        # nginx no longer reads what it serves: with this file in the way no other host could change any more.
        host.live_path = host.live_sha256 = ""
    if host.changed_generation > command.payload["generation"] or host.is_refused:
        return
    words = str(error["text"])[:_TEXT_LENGTH]
    line = int(error["line"])
    field = locate_field(content(sha256) or "", line, words)
    proxy_hosts.set_aside(host, words, line=line, field=field, command_id=command.id)
    events.record(
        None, "proxy_host", "refuse", host.id, host.primary_name, after={"text": words}, command_id=command.id
    )


def _first_sentence(file_errors: Sequence[Mapping[str, Any]]) -> str:
    first = file_errors[0]
    place = f"{first['path']}, line {first['line']}" if first["line"] else first["path"]
    return f"nginx refused {place}: {first['text']}"[:_TEXT_LENGTH]


def _diff(live: str, text: str) -> list[tuple[str, str]]:
    lines: Iterable[str] = unified_diff(live.splitlines(), text.splitlines(), n=3, lineterm="")
    return [(line[0], line[1:]) for line in islice(lines, 2, None)]


def _announce() -> None:
    wake_after_commit("hosts")
    wake_after_commit("agents")
