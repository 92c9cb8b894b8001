"""One attempt at a certificate, from the check to nginx that serves it; what fails is remembered for the next one.
May import: agent.errors, agent.failpoints and the parts of agent.acme below agent.acme.certificates."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import timedelta

from agent import failpoints
from agent.acme.engine import Engine, Job, Wish
from agent.acme.installed import Installed, storage_failure
from agent.acme.ordering import Ordering
from agent.acme.outcome import Outcome
from agent.acme.schedule import EMERGENCY, next_attempt
from agent.acme.spec import AcmeFailure, CertificateSpec, Failure, Finding, Level
from agent.acme.state import Memory, Source
from agent.errors import AgentError, Cancelled, Stopping, TimedOut

# A certificate that is younger is what somebody gets who asks for the same one again.
MOMENTS = timedelta(seconds=60)
_CHECK_WORDS = "Checking what stands in the way, before the authority is asked"


class Attempts:
    """The caller sees to it that one attempt at a time works on a lineage."""

    def __init__(self, engine: Engine) -> None:
        self._at = engine
        self._ordering = Ordering(engine)

    def issue(self, wish: Wish, job: Job) -> Outcome:
        """A first certificate, or one by a new spec. Raises AgentError for what is no attempt, Cancelled, Stopping."""
        spec = wish.spec
        if not wish.is_dry_run and self._is_done(spec, job):
            return self._use_again(wish, job)
        findings = self._look(spec, job)
        if failure := find_error(findings):
            return self._refused(wish, job, failure, findings)
        if not wish.accepts_warnings and any(finding.level is Level.WARNING for finding in findings):
            job.output.warn("Nothing was ordered. Look at the warnings, and say whether to go on.")
            return Outcome(stage="check", findings=findings, needs_confirmation=True)
        failpoints.hit("certificate:checked")
        if wish.is_dry_run:
            return self._try_on_staging(spec, job, findings)
        self._at.store.update(spec.name, source=Source.ACME, spec=spec, revoked_at=None)
        return replace(self._attempt(spec.name, job, host_waits=wish.host_waits), findings=findings)

    def renew(self, name: str, job: Job) -> Outcome:
        """By the spec that is remembered. Raises AgentError when there is none, Cancelled, Stopping."""
        memory = self._at.store.get(name)
        if memory is None or memory.spec is None or memory.source is not Source.ACME:
            raise AgentError(f"This agent does not know how to renew {name}. Request it anew, or take it over first.")
        if memory.issued_at and memory.issued_at >= job.asked_at and self._is_in_use(memory):
            return self._use_again(Wish(memory.spec), job)
        findings: tuple[Finding, ...] = ()
        if memory.failures and not memory.is_ordered and not memory.install:
            findings = self._look(memory.spec, job)
            failure = find_error(findings)
            if failure and not self._is_emergency(name):
                return self._failed(name, failure, "check", job, findings)
        return replace(self._attempt(name, job), findings=findings)

    # ---- before an order -----------------------------------------------------------------------------------------

    def _is_done(self, spec: CertificateSpec, job: Job) -> bool:
        """Whether a certificate of exactly this spec was issued since the command came, or moments before."""
        memory, leaf = self._at.store.get(spec.name), self._at.lineages.look(spec.name).leaf
        if memory is None or leaf is None or memory.issued_at is None or memory.spec is None:
            return False
        is_young = memory.issued_at >= job.asked_at or self._at.now() - memory.issued_at < MOMENTS
        return is_young and self._is_in_use(memory) and memory.spec == replace(spec, is_paused=memory.spec.is_paused)

    def _is_in_use(self, memory: Memory) -> bool:
        """Whether what was issued last was also installed."""
        used, versions = self._at.lineages.look(memory.name).version, self._at.lineages.versions(memory.name)
        return bool(versions) and used == versions[-1] and not memory.failures and not memory.install

    def _use_again(self, wish: Wish, job: Job) -> Outcome:
        name, leaf = wish.spec.name, self._at.lineages.look(wish.spec.name).leaf
        words = f": serial {leaf.serial}" if leaf else ""
        job.output.stage("issued", f"This certificate was issued a moment ago, and is used again{words}")
        job.output.succeed("No second one was ordered")
        installed = self._at.installer.await_release(name, job.output, job.guard) if wish.host_waits else Installed()
        memory = self._at.store.get(name)
        is_served = bool(leaf and memory and memory.served == leaf.sha256)
        return Outcome(installed.failure, installed.stage, served=installed.served or is_served)

    def _look(self, spec: CertificateSpec, job: Job) -> tuple[Finding, ...]:
        job.output.stage("check", _CHECK_WORDS)
        job.guard.check()
        findings = tuple(self._at.check(spec))
        tell = {Level.OK: job.output.succeed, Level.INFO: job.output.info, Level.WARNING: job.output.warn}
        for finding in findings:
            tell.get(finding.level, job.output.fail)(f"{finding.sentence} {finding.next_step}".strip())
        return findings

    def _refused(self, wish: Wish, job: Job, failure: Failure, findings: tuple[Finding, ...]) -> Outcome:
        """A check that found an error. The spec is kept, so that it is tried again by itself."""
        if wish.is_dry_run:
            return Outcome(failure, "check", findings, is_dry_run=True)
        self._at.store.update(wish.spec.name, source=Source.ACME, spec=wish.spec)
        return self._failed(wish.spec.name, failure, "check", job, findings)

    def _is_emergency(self, name: str) -> bool:
        leaf = self._at.lineages.look(name).leaf
        return leaf is not None and leaf.not_after - self._at.now() < leaf.lifetime / EMERGENCY

    # ---- the attempt ---------------------------------------------------------------------------------------------

    def _attempt(self, name: str, job: Job, *, host_waits: bool = False) -> Outcome:
        """Whatever it ends in is remembered before it is told."""
        at = self._at
        try:
            with at.installer.expected():
                at.store.update(name, last_attempt_at=at.now())
                version = self._ordering.pending(name, job) or self._ordering.obtain(name, job)
                installed = at.installer.install(name, version, job.output, job.guard)
        except AcmeFailure as error:
            return self._failed(name, error.failure, error.stage, job)
        except Stopping:
            raise
        except Cancelled:
            self._cancelled(name, job)
            raise
        except TimedOut as error:
            return self._failed(name, Failure("slow", error.message, "Try again."), "", job)
        except AgentError as error:
            return self._failed(name, Failure("other", error.message), "", job)
        except (OSError, sqlite3.Error) as error:
            return self._failed(name, storage_failure(at.lineages.root, error), "issued", job)
        return self._installed(name, installed, job, host_waits=host_waits)

    def _installed(self, name: str, installed: Installed, job: Job, *, host_waits: bool) -> Outcome:
        if installed.failure:
            failed = self._failed(name, installed.failure, installed.stage, job)
            return replace(failed, rolled_back=installed.rolled_back)
        self._at.store.update(name, failures=0, refusals=0, failure=None, failed_at=None)
        self._at.changed()  # the panel applies the host that waits when it hears of it
        if host_waits and not installed.served:
            installed = self._at.installer.await_release(name, job.output, job.guard)
            self._at.changed()
        return Outcome(installed.failure, installed.stage, served=installed.served)

    def _try_on_staging(self, spec: CertificateSpec, job: Job, findings: tuple[Finding, ...]) -> Outcome:
        try:
            self._ordering.rehearse(spec, job)
        except AcmeFailure as error:
            return Outcome(error.failure, error.stage, findings, is_dry_run=True)
        job.output.succeed("It works. This was a try: nothing was installed.")
        return Outcome(findings=findings, is_dry_run=True)

    # ---- how it ended --------------------------------------------------------------------------------------------

    def _failed(self, name: str, failure: Failure, stage: str, job: Job, findings: tuple[Finding, ...] = ()) -> Outcome:
        """Counts it, and says when it is tried again by itself."""
        at, now = self._at, self._at.now()
        memory = at.store.get(name) or Memory(name)
        is_refusal = stage not in {"", "check", "installed", "reload", "served"}
        memory = replace(
            memory,
            failures=memory.failures + 1,
            refusals=memory.refusals + is_refusal,
            failure=failure,
            failed_at=now,
            last_attempt_at=now,
        )
        at.store.put(memory)
        if stage == "validation":
            at.store.record_refusal(failure.directory_url, failure.names or _names(memory), now)
        at.changed()
        again = next_attempt(memory, at.lineages.look(name).leaf, now)
        if stage != "check":  # what the check found stands there already
            job.output.fail(failure.sentence)
        if again:
            job.output.info(f"It is tried again by itself on {again.at:%Y-%m-%d at %H:%M} UTC")
        return Outcome(replace(failure, retry_at=again.at if again else None), stage, findings)

    def _cancelled(self, name: str, job: Job) -> None:
        """A renewal that a person stopped does not begin again at once."""
        if job.is_own:
            failure = Failure("cancelled", "A person cancelled the renewal.", "It is tried again later.")
            memory = self._at.store.get(name) or Memory(name)
            now = self._at.now()
            self._at.store.update(name, failures=memory.failures + 1, failure=failure, failed_at=now)


def find_error(findings: tuple[Finding, ...]) -> Failure | None:
    """The first finding that stops, as a failure."""
    for finding in findings:
        if finding.level is Level.ERROR:
            names = (finding.subject,) if finding.subject else ()
            return Failure(finding.cause or "other", finding.sentence, finding.next_step, names=names)
    return None


def _names(memory: Memory) -> tuple[str, ...]:
    return memory.spec.names if memory.spec else ()
