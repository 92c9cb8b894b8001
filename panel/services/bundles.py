"""What an agent should be, as files; and the store of every file that was ever sent.
May import: panel.services.proxy_hosts, panel.nginx, panel.models, panel.extensions."""

from __future__ import annotations

import json
import logging
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any, Generic, NamedTuple, TypeVar

from sqlalchemy import Text, and_, bindparam, cast, false, func, select
from sqlalchemy.dialects import postgresql, sqlite

from panel.extensions import db
from panel.models import Agent, Certificate, Command, ConfigContent, ProxyHost, Revision
from panel.nginx import render
from panel.nginx.bundle import ConfigBundle, ConfigFile
from panel.nginx.render import CertificateFiles, NginxFacts, Site, UnsafeValue
from panel.services import proxy_hosts
from panel.services.proxy_hosts import ProxyHostSpec

log = logging.getLogger(__name__)

_AT_ONCE = 500  # rows per statement, below every database's limit of parameters

Value = TypeVar("Value")


class _Known(Generic[Value]):
    """What was seen lately under a key that decides it, a hash or all its values, so that nothing grows old."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[Hashable, Value] = OrderedDict()

    def get(self, key: Hashable) -> Value | None:
        """None when it was not seen, or long ago."""
        return self._values.get(key)

    def put(self, key: Hashable, value: Value) -> Value:
        """Remembers the value and gives it back; the one that was seen first makes room."""
        self._values[key] = value
        if len(self._values) > self._most:
            self._values.popitem(last=False)
        return value


_manifests: _Known[Mapping[str, str]] = _Known(64)
_sizes: _Known[int] = _Known(50_000)


# What decides a host's file. Read from the tables and as plain values: as objects, a thousand hosts would take longer
# than all the rest.
_HOST, _CERT = ProxyHost.__table__.c, Certificate.__table__.c
_SITE = (
    _HOST.id,
    cast(_HOST.domain_names, Text),
    _HOST.forward_scheme,
    _HOST.forward_host,
    _HOST.forward_port,
    _HOST.websocket,
    _HOST.force_ssl,
    _HOST.hsts,
    _HOST.http2,
)
_CERTIFICATE = (_CERT.agent_id, _CERT.chain_path, _CERT.key_path)
_HAS_TLS = and_(_CERT.id.is_not(None), _CERT.is_present).label("has_tls")
_IS_REFUSED = func.coalesce(_HOST.refused_generation == _HOST.changed_generation, false()).label("is_refused")
_SAVED = (
    select(*_SITE, _HAS_TLS, *_CERTIFICATE, _IS_REFUSED, _HOST.live_path, _HOST.live_sha256)
    .select_from(ProxyHost.__table__.outerjoin(Certificate.__table__, _CERT.id == _HOST.certificate_id))
    .where(_HOST.agent_id == bindparam("agent_id"), _HOST.is_enabled, _HOST.deleted_at.is_(None))
)
_DECISIVE = len(_SITE) + 1 + len(_CERTIFICATE)  # columns; the rest is about what is live


class _Folder(NamedTuple):
    """An agent's folder of certificates; empty while it has not told of one."""

    agent_id: str
    path: str


def bundle(agent: Agent, *, draft: ProxyHost | None = None) -> ConfigBundle:
    """The files of an agent as saved; `draft`, an unsaved host, stands in for the saved one with its id.

    A host that nginx refused comes with its last live file or not at all. A saved host that cannot be written safely
    is treated as refused; an unsafe draft raises UnsafeValue.
    """
    facts = NginxFacts.of(agent)
    draft_id = None if draft is None else draft.id
    rows = [row for row in db.session.execute(_SAVED, {"agent_id": agent.id}).all() if row.id != draft_id]
    folder = _Folder(agent.id, agent.letsencrypt_dir)
    known = _rendered(facts, folder)
    files = [file for row in rows if (file := _file(row, facts, folder, known)) is not None]
    wants_http2 = all(row.http2 for row in rows if row.has_tls)
    if draft is not None:
        files.append(render.render_host(draft, facts, certificate_of(draft, agent)))
        wants_http2 = wants_http2 and (draft.http2 is not False or not draft.has_tls)
    return ConfigBundle.of((*render.render_shared(files, facts, http2=wants_http2), *files))


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
    folder = _Folder(agent.id, agent.letsencrypt_dir)
    return _certificate_files(certificate.agent_id, certificate.chain_path, certificate.key_path, folder)


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
    _manifests.put(rendered.revision, rendered.manifest)
    for file in rendered.files:
        _sizes.put(file.sha256, file.size)


def manifest_of(agent: Agent, revision: str) -> Mapping[str, str] | None:
    """Path to sha256 of a revision of the agent; None when it is unknown."""
    row = (Revision.agent_id == agent.id, Revision.revision == revision)
    known = _manifests.get(revision)
    if known is not None:
        return known if db.session.scalar(select(Revision.id).where(*row)) is not None else None
    manifest = db.session.scalar(select(Revision.manifest).where(*row))
    return None if manifest is None else _manifests.put(revision, manifest)


def manifest_for(command: Command) -> Mapping[str, str]:
    """Path to sha256 of what a command brings; empty when that is not decided yet, or not known any more."""
    return manifest_of(command.agent, command.payload.get("revision", "")) or {}


def sizes(hashes: Iterable[str]) -> dict[str, int]:
    """The lengths in bytes of these contents, as far as the panel knows them."""
    wanted = set(hashes)
    found = {sha256: size for sha256 in wanted if (size := _sizes.get(sha256)) is not None}
    missing = contents(wanted.difference(found))
    found.update((sha256, _sizes.put(sha256, len(text.encode()))) for sha256, text in missing.items())
    return found


def contents(hashes: Iterable[str]) -> dict[str, str]:
    """The texts of these hashes that the panel has."""
    wanted = sorted(set(hashes))
    found: dict[str, str] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        batch = select(ConfigContent.sha256, ConfigContent.text)
        rows = db.session.execute(batch.where(ConfigContent.sha256.in_(wanted[start : start + _AT_ONCE])))
        found.update((sha256, text) for sha256, text in rows)
    return found


def _file(row: Any, facts: NginxFacts, folder: _Folder, known: _Known[ConfigFile]) -> ConfigFile | None:
    if row.is_refused:
        return _live_file(row)
    try:
        columns = row[:_DECISIVE]
        return known.get(columns) or known.put(columns, _render(columns, facts, folder))
    except UnsafeValue as error:
        log.warning("host %s cannot be written safely: %s", row.id, error)
        proxy_hosts.set_aside(db.session.get_one(ProxyHost, row.id), str(error), field=error.field)
        return _live_file(row)


@lru_cache(maxsize=64)
def _rendered(_facts: NginxFacts, _folder: _Folder) -> _Known[ConfigFile]:
    """What was rendered for this agent: one quick look-up for each host that has not changed since its last apply."""
    return _Known(4096)


def _render(columns: tuple[Any, ...], facts: NginxFacts, folder: _Folder) -> ConfigFile:
    """The file for the first columns of _SAVED."""
    host_id, names, scheme, host, port, *switches = columns[: len(_SITE)]
    site = Site(str(host_id), tuple(json.loads(names)), scheme, host, port, *map(bool, switches))
    has_tls, owner_id, chain, key = columns[len(_SITE) :]
    return render.render_site(site, facts, _certificate_files(owner_id, chain, key, folder) if has_tls else None)


def _certificate_files(owner_id: str, chain: str, key: str, folder: _Folder) -> CertificateFiles:
    """The pair, which must be the agent's own and lie in its folder."""
    paths = [PurePosixPath(path) for path in (chain, key)]
    is_inside = folder.path and all(path.is_relative_to(folder.path) and ".." not in path.parts for path in paths)
    if owner_id != folder.agent_id or not is_inside:
        raise UnsafeValue("The certificate does not lie in the agent's folder of certificates.", "certificate_id")
    return CertificateFiles(chain, key)


def _live_file(row: Any) -> ConfigFile | None:
    """The last version that nginx served, byte for byte."""
    text = content(row.live_sha256) if row.live_sha256 else None
    return None if text is None else ConfigFile(row.live_path, text)


def _insert_missing(model: type[Any], rows: list[dict[str, Any]]) -> None:
    """Inserts what is not there yet; two panels that store the same content do not disturb each other."""
    insert = postgresql.insert if db.engine.dialect.name == "postgresql" else sqlite.insert
    for start in range(0, len(rows), _AT_ONCE):
        db.session.execute(insert(model.__table__).on_conflict_do_nothing(), rows[start : start + _AT_ONCE])
