"""What an agent should be, as files; and the store of every file that was ever sent.
May import: panel.services.proxy_hosts, panel.nginx, panel.models, panel.extensions."""

from __future__ import annotations

import logging
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from panel.extensions import db
from panel.models import Agent, Certificate, ConfigContent, ProxyHost, Revision
from panel.nginx import render
from panel.nginx.bundle import ConfigBundle, ConfigFile
from panel.nginx.render import CertificateFiles, NginxFacts, UnsafeValue
from panel.services import proxy_hosts
from panel.services.proxy_hosts import ProxyHostSpec

log = logging.getLogger(__name__)

_AT_ONCE = 500  # rows per statement, below every database's limit of parameters


def bundle(agent: Agent, *, draft: ProxyHost | None = None) -> ConfigBundle:
    """The files of an agent as saved; `draft`, an unsaved host, stands in for the saved one with its id.

    A host that nginx refused comes with its last live file or not at all. A saved host that cannot be written safely
    is treated as refused; an unsafe draft raises UnsafeValue.
    """
    facts = NginxFacts.of(agent)
    saved = select(ProxyHost).where(
        ProxyHost.agent_id == agent.id, ProxyHost.is_enabled, ProxyHost.deleted_at.is_(None)
    )
    draft_id = None if draft is None else draft.id
    hosts = [host for host in db.session.scalars(saved) if host.id != draft_id]
    files = [file for host in hosts if (file := _file(host, agent, facts)) is not None]
    if draft is not None:
        hosts.append(draft)
        files.append(render.render_host(draft, facts, certificate_of(draft, agent)))
    shared = render.render_shared([host for host in hosts if host.has_tls], files, facts)
    return ConfigBundle.of((*shared, *files))


def draft_of(host: ProxyHost | None, spec: ProxyHostSpec) -> ProxyHost:
    """An unsaved host with the values of `spec`, under the id of `host` if there is one."""
    draft = ProxyHost(id=None if host is None else host.id, **proxy_hosts.columns_of(spec))
    if draft.certificate_id is not None:
        draft.certificate = db.session.get(Certificate, draft.certificate_id)
    return draft


def certificate_of(host: ProxyHost, agent: Agent) -> CertificateFiles | None:
    """The files with which the host listens for HTTPS; None while the agent does not have them: the host is then plain
    HTTP. Raises UnsafeValue for paths outside the agent's folder of certificates, which the agent would refuse."""
    certificate = host.certificate
    if certificate is None or not host.has_tls:
        return None
    paths = (certificate.chain_path, certificate.key_path)
    if certificate.agent_id != agent.id or not all(_lies_in(path, agent.letsencrypt_dir) for path in paths):
        raise UnsafeValue("The certificate does not lie in the agent's folder of certificates.", "certificate_id")
    return CertificateFiles(*paths)


def content(sha256: str) -> str | None:
    """The text of a file that was rendered at some time; None when it is unknown."""
    found = db.session.get(ConfigContent, sha256)
    return None if found is None else found.text


def store(agent: Agent, rendered: ConfigBundle) -> None:
    """Keeps a bundle: its manifest under its revision, and the contents that are new."""
    _insert_missing(Revision, [{"agent_id": agent.id, "revision": rendered.revision, "manifest": rendered.manifest}])
    live = manifest_of(agent, agent.applied_revision) or {}
    known = set(live.values())
    texts = {file.sha256: file.text for file in rendered.files if file.sha256 not in known}
    _insert_missing(ConfigContent, [{"sha256": sha256, "text": text} for sha256, text in texts.items()])


def manifest_of(agent: Agent, revision: str) -> dict[str, str] | None:
    """Path to sha256 of a revision of the agent; None when it is unknown."""
    query = select(Revision.manifest).where(Revision.agent_id == agent.id, Revision.revision == revision)
    return db.session.scalar(query)


def _file(host: ProxyHost, agent: Agent, facts: NginxFacts) -> ConfigFile | None:
    if host.is_refused:
        return _live_file(host)
    try:
        return render.render_host(host, facts, certificate_of(host, agent))
    except UnsafeValue as error:
        log.warning("host %s cannot be written safely: %s", host.id, error)
        proxy_hosts.set_aside(host, str(error), field=error.field)
        return _live_file(host)


def _live_file(host: ProxyHost) -> ConfigFile | None:
    """The last version that nginx served, byte for byte."""
    text = content(host.live_sha256) if host.live_sha256 else None
    return None if text is None else ConfigFile(host.live_path, text)


def _lies_in(path: str, folder: str) -> bool:
    parts = PurePosixPath(path)
    return bool(folder) and parts.is_relative_to(folder) and ".." not in parts.parts


def _insert_missing(model: type[Any], rows: list[dict[str, Any]]) -> None:
    """Inserts what is not there yet; two panels that store the same content do not disturb each other."""
    insert = postgresql.insert if db.engine.dialect.name == "postgresql" else sqlite.insert
    for start in range(0, len(rows), _AT_ONCE):
        db.session.execute(insert(model).on_conflict_do_nothing(), rows[start : start + _AT_ONCE])
