"""Every certificate of this machine: the door of this engine for commands, reports and the schedule.
May import: agent.errors, agent.output and all of agent.acme."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from agent.acme.attempt import Attempts
from agent.acme.certbot import Renewal, check_name, read_renewal, take_over, write_renewal
from agent.acme.engine import Engine, Job, Wish
from agent.acme.installed import storage_failure
from agent.acme.leaf import Material, find_fault, split
from agent.acme.outcome import Outcome, Status
from agent.acme.schedule import LONGEST_ASK, choose, next_attempt
from agent.acme.spec import AcmeFailure, Authority, CertificateSpec, Finding
from agent.acme.state import Memory, Source
from agent.errors import AgentError

MAX_LISTED = 1000
# RFC 5280 section 5.3.1: what a subscriber may say.
REASONS = frozenset({0, 1, 3, 4, 5})


class Certificates:
    """The caller sees to it that one thing at a time is done about a lineage; different ones may run at once."""

    def __init__(self, engine: Engine, is_used: Callable[[str], bool]) -> None:
        """`is_used` answers whether nginx's configuration names a lineage."""
        self._at = engine
        self._is_used = is_used
        self._attempts = Attempts(engine)

    # ---- commands: each raises AgentError with a sentence, and what the guard raises -----------------------------

    def issue(self, wish: Wish, job: Job) -> Outcome:
        """Check, order, install, see it served."""
        self._refuse_foreign(check_name(wish.spec.name))
        return self._attempts.issue(wish, job)

    def renew(self, name: str, job: Job) -> Outcome:
        """Now, by the spec that is remembered."""
        self._refuse_foreign(check_name(name))
        return self._attempts.renew(name, job)

    def check(self, spec: CertificateSpec) -> list[Finding]:
        """The check alone."""
        check_name(spec.name)
        return self._at.check(spec)

    def upload(self, name: str, fullchain_pem: str, key_pem: str, job: Job, *, host_waits: bool = False) -> Outcome:
        """A certificate that a person gave; one of this name is replaced in place. Raises AgentError."""
        at = self._at
        self._refuse_foreign(check_name(name))
        memory = at.store.get(name)
        if memory and memory.source is Source.ACME:
            raise AgentError(f"{name} is obtained from an authority. Give the upload another name.")
        try:
            material = split(fullchain_pem, key_pem)
        except ValueError as error:
            raise AgentError(f"The certificate cannot be read ({error}).") from error
        if fault := find_fault(material, (), at.now()):
            raise AgentError(fault)
        try:
            version = self._write_upload(name, material)
        except (OSError, sqlite3.Error) as error:
            return Outcome(storage_failure(at.lineages.root, error), "installed")
        with at.installer.expected():
            installed = at.installer.install(name, version, job.output, job.guard)
        at.changed()
        if host_waits and not installed.served and not installed.failure:
            installed = at.installer.await_release(name, job.output, job.guard)
        return Outcome(installed.failure, installed.stage, served=installed.served, rolled_back=installed.rolled_back)

    def _write_upload(self, name: str, material: Material) -> int:
        at = self._at
        at.store.update(name, source=Source.UPLOAD, spec=None, issued_at=at.now())
        version = at.lineages.add(name, material)
        write_renewal(at.lineages.root, name, "", at.webroot)
        return version

    def configure(self, spec: CertificateSpec) -> Outcome:
        """Replaces the spec that renewals follow, and orders nothing. Raises AgentError for an upload."""
        self._refuse_foreign(check_name(spec.name))
        memory = self._at.store.get(spec.name)
        if memory and memory.source is Source.UPLOAD:
            raise AgentError(f"{spec.name} was uploaded: there is nothing to configure.")
        self._at.store.update(spec.name, source=Source.ACME, spec=spec)
        self._at.changed()
        return Outcome()

    def take_over(self, spec: CertificateSpec) -> Outcome:
        """From now on the agent renews what certbot did. The names are those of the certificate. Raises AgentError."""
        at, name = self._at, check_name(spec.name)
        leaf, renewal = at.lineages.look(name).leaf, read_renewal(at.lineages.root, name)
        if leaf is None:
            raise AgentError(f"There is no usable certificate {name} on this machine. {at.lineages.look(name).problem}")
        if renewal is not None and renewal.autorenew:
            take_over(at.lineages.root, name)
        server = renewal.server if renewal else ""
        spec = replace(spec, names=leaf.names)
        at.store.update(name, source=Source.ACME, spec=spec, directory_url=server)
        at.changed()
        return Outcome()

    def revoke(self, name: str, reason: int, job: Job) -> Outcome:
        """Tells the authority that the certificate must not be trusted any more. The files stay. Raises AgentError."""
        at = self._at
        if reason not in REASONS:
            raise AgentError("An authority takes the reasons 0, 1, 3, 4 and 5 only.")
        memory = at.store.get(check_name(name)) or Memory(name, Source.CERTBOT)
        authority = self._issuer(name, memory)
        try:
            material = at.lineages.material(name)
        except (OSError, ValueError) as error:
            raise AgentError(f"The certificate {name} cannot be read ({error}).") from error
        job.output.info(f"Revoking {name} at {authority.label}")
        job.guard.check()
        try:
            at.authorities.revoke(authority, material.leaf_pem, material.key_pem, reason)
        except AcmeFailure as error:
            job.output.fail(error.message)
            return Outcome(error.failure, error.stage)
        at.store.update(name, source=memory.source, revoked_at=at.now())
        at.changed()
        job.output.succeed(f"{authority.label} has revoked it. nginx goes on serving it until it is replaced.")
        return Outcome()

    def delete(self, name: str) -> Outcome:
        """Takes the files and all that is remembered away. Raises AgentError while nginx's configuration names them."""
        at = self._at
        self._refuse_foreign(check_name(name))
        with at.installer.turn.taken():
            if self._is_used(name):
                raise AgentError(f"nginx's configuration uses the certificate {name}. Take it off its hosts first.")
            try:
                at.lineages.delete(name)
            except OSError as error:
                raise AgentError(f"The files of {name} cannot be removed ({error}).") from error
        at.store.forget(name)
        at.changed()
        return Outcome()

    # ---- what is known -------------------------------------------------------------------------------------------

    def statuses(self) -> list[Status]:
        """Every certificate of this machine, at most 1000. Files that did not change are not read again."""
        memories = {memory.name: memory for memory in self._at.store.all()}
        try:
            found = self._at.lineages.names()
        except OSError:
            found = []  # folder_problem says why
        names = sorted({*found, *memories})
        return [self._status(name, memories.get(name)) for name in names[:MAX_LISTED]]

    @property
    def folder(self) -> Path:
        """Where they lie."""
        return self._at.lineages.root

    def folder_problem(self) -> str:
        """Why that folder cannot be used; empty when it can."""
        root = self.folder
        try:
            self._at.lineages.names()
        except OSError as error:
            return f"{error.filename} cannot be read: {error.strerror}."
        nearest = next(path for path in (root, *root.parents) if path.exists())
        return "" if os.access(nearest, os.W_OK | os.X_OK) else f"The agent may not write into {nearest}."

    def status(self, name: str) -> Status | None:
        """One of them; None when there is nothing of it."""
        memory = self._at.store.get(name)
        if memory is None and name not in self._at.lineages.names():
            return None
        return self._status(name, memory)

    def _status(self, name: str, memory: Memory | None) -> Status:
        at, sight = self._at, self._at.lineages.look(name)
        renewal = read_renewal(at.lineages.root, name)
        memory = memory or Memory(name, _source(renewal))
        if memory.revoked_at and sight.leaf and sight.leaf.not_before > memory.revoked_at:
            memory = replace(memory, revoked_at=None)  # certbot has made a new one since
        action = next_attempt(memory, sight.leaf, at.now())
        return Status(
            name=name,
            source=memory.source,
            leaf=sight.leaf,
            directory_url=memory.directory_url or (renewal.server if renewal else ""),
            chain_path=at.lineages.link(name, "fullchain"),
            key_path=at.lineages.link(name, "privkey"),
            problem="" if _is_to_come(memory) else sight.problem,
            is_served=bool(sight.leaf) and memory.served == (sight.leaf.sha256 if sight.leaf else ""),
            memory=memory,
            next_action=action.kind if action else "",
            next_action_at=action.at if action else None,
        )

    def ask(self, name: str) -> None:
        """Asks the authority when it wants the certificate renewed, and remembers the moment that was chosen."""
        at, memory = self._at, self._at.store.get(name)
        leaf = at.lineages.look(name).leaf
        if memory is None or leaf is None:
            return
        authority, now = self._asked(memory), at.now()
        info = at.authorities.renewal_info(authority, at.lineages.material(name).leaf_pem) if authority else None
        if info is None:
            at.store.update(name, asked_at=now, ask_at=now + LONGEST_ASK)
            return
        window = choose(leaf.sha256, info.start, info.end, info.explanation_url, memory.window)
        at.store.update(name, window=window, asked_at=now, ask_at=_later(now, info.retry_after))
        if window != memory.window:
            at.changed()

    # ---- small things --------------------------------------------------------------------------------------------

    def _refuse_foreign(self, name: str) -> None:
        """What certbot looks after is not touched before it was taken over."""
        memory = self._at.store.get(name)
        if (memory is None or memory.source is Source.CERTBOT) and self._at.lineages.has_files(name):
            renewal = read_renewal(self._at.lineages.root, name)
            if _source(renewal) is Source.CERTBOT:
                raise AgentError(f"{name} belongs to certbot on this machine. Take it over first, or use another name.")

    def _asked(self, memory: Memory) -> Authority | None:
        """The authority that issued the present certificate, when it is one of those in the spec."""
        authorities = memory.spec.authorities if memory.spec else ()
        return next((each for each in authorities if each.directory_url == memory.directory_url), None)

    def _issuer(self, name: str, memory: Memory) -> Authority:
        """The same for a revocation: any directory will do, for the certificate's own key is proof enough."""
        if known := self._asked(memory):
            return known
        renewal = read_renewal(self._at.lineages.root, name)
        url = memory.directory_url or (renewal.server if renewal else "")
        if not url or memory.source is Source.UPLOAD:
            raise AgentError(f"This agent does not know who issued {name}. Revoke it where you got it from.")
        return Authority("", url.split("/")[2] if "//" in url else url, url)


def _source(renewal: Renewal | None) -> Source:
    """By the file alone, when nothing is remembered."""
    if renewal is None or not renewal.is_ours:
        return Source.CERTBOT
    return Source.ACME if renewal.server else Source.UPLOAD


def _later(now: datetime, seconds: float) -> datetime:
    return min(datetime.fromtimestamp(now.timestamp() + seconds, now.tzinfo), now + LONGEST_ASK)


def _is_to_come(memory: Memory) -> bool:
    """Whether it was only asked for until now, so that nothing is missing."""
    return memory.source is Source.ACME and memory.issued_at is None and not memory.directory_url
