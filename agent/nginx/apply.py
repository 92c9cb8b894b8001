"""Applying a bundle: fetch, test, switch, reload, prove; and back to the release before when that fails.
May import: agent.config, agent.errors, agent.failpoints, agent.journal, agent.output and all of agent.nginx."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from agent import failpoints
from agent.config import AgentConfig
from agent.errors import AgentError, BundleRefused, NginxUnavailable
from agent.journal import ApplyEntry, Journal
from agent.nginx.bundle import Bundle
from agent.nginx.guard import Guard
from agent.nginx.interface import Nginx
from agent.nginx.layout import Layout
from agent.nginx.outcome import ENDED, Outcome
from agent.nginx.proof import RESTART_SECONDS, Before, Proof, look, prove
from agent.nginx.release import Releases
from agent.nginx.stage import ContentSource, Staged, Stager, tell
from agent.nginx.trial import describe
from agent.nginx.turn import Turn
from agent.nginx.undo import Undo, revision_of
from agent.nginx.words import FileError, locate, place, relative, unique
from agent.nginx.wrapper import NO_REVISION
from agent.output import Output

_log = logging.getLogger(__name__)


class _Failure(AgentError):
    """An end before anything live was touched."""

    def __init__(self, stage: str, message: str, errors: tuple[FileError, ...] = ()) -> None:
        super().__init__(message)
        self.stage = stage
        self.file_errors = errors


@dataclass
class _Run:
    """One apply under way."""

    entry: ApplyEntry
    output: Output
    guard: Guard
    warnings: tuple[str, ...] = field(default=())


class Applier:
    """The only writer of releases and of `current`. Its caller runs one apply at a time."""

    def __init__(
        self,
        config: AgentConfig,
        layout: Layout,
        nginx: Nginx,
        journal: Journal,
        *,
        patience: float = RESTART_SECONDS,
        turn: Turn | None = None,
    ) -> None:
        """`patience` is how many seconds a restarted nginx gets to come back. `on_edits` may be set to what is called
        before files that somebody edited by hand are replaced."""
        self.on_edits: Callable[[], None] = lambda: None
        self._turn = turn or Turn()
        self._layout = layout
        self._nginx = nginx
        self._journal = journal
        self._patience = patience
        self._releases = Releases(layout)
        self._stager = Stager(config, layout, nginx, self._releases)
        self._undo = Undo(layout, nginx, self._releases, self._stager, patience)

    def apply(self, command_id: str, bundle: Bundle, source: ContentSource, output: Output, guard: Guard) -> Outcome:
        """Makes nginx serve the bundle, or leaves it serving what it served. Raises Cancelled, TimedOut or Stopping,
        and then nothing live was touched, or the journal tells the next start what to do."""
        with self._turn.taken():
            return self._apply(command_id, bundle, source, output, guard)

    def _apply(self, command_id: str, bundle: Bundle, source: ContentSource, output: Output, guard: Guard) -> Outcome:
        entry = ApplyEntry(command_id, bundle.revision, "", self._releases.current_name(), "fetch")
        run = _Run(entry, output, guard)
        try:
            before = self._prepare(run, bundle, source)
        except _Failure as failure:
            return self._fail(run, failure)
        return self._go_live(run, before)

    def recover(self, entry: ApplyEntry, output: Output, guard: Guard) -> Outcome | None:
        """At the agent's start: settles an apply that was cut off. None when it had touched nothing live, so that it
        can simply be run again."""
        run = _Run(entry, output, guard)
        if entry.phase in ENDED:
            return ENDED[entry.phase](entry.revision)
        if entry.phase == "rollback":
            return self._roll_back(run, "prove", Proof("The agent was stopped while it put the files back."), None)
        if not entry.release or self._releases.current_name() != entry.release:
            return None
        output.stage("reload", "The agent was stopped in the middle of this; finding out what nginx serves")
        before = self._undo.wait_for_nginx(guard.remaining(), guard.stopping)
        guard.check_stop()
        return self._reload(run, before)

    def prune(self) -> None:
        """Removes what a crash left half-written, and old releases."""
        self._releases.prune()

    # ---- before anything live is touched -------------------------------------------------------------------------

    def _prepare(self, run: _Run, bundle: Bundle, source: ContentSource) -> Before | None:
        self._record(run, "fetch")
        run.output.stage("fetch", f"Fetching and checking {len(bundle.files)} files")
        with ExitStack() as stack:
            staged = self._stage(run, bundle, source, stack)
            failpoints.hit("apply:staged")
            self._test(run, staged)
        failpoints.hit("apply:tested")
        run.output.stage("switch", "Putting the new files in place")
        before = self._look(run)
        run.guard.check()
        return before

    def _look(self, run: _Run) -> Before | None:
        """What runs now. None for an nginx that could not be started as things are: new files are its way out."""
        try:
            return look(self._nginx)
        except NginxUnavailable as error:
            refusal = self._undo.refusal(run.entry.previous, run.guard.stopping)
            if not refusal:
                raise _Failure("switch", f"{error.message} The files were left as they were.") from None
            run.output.warn(f"nginx does not run and could not be started from the present files: {refusal}")
        refusal = self._undo.refusal(run.entry.release, run.guard.stopping)
        if refusal:
            raise _Failure("test", f"nginx is not running, and it refuses the new files too: {refusal}")
        return None

    def _stage(self, run: _Run, bundle: Bundle, source: ContentSource, stack: ExitStack) -> Staged:
        try:
            staged = stack.enter_context(self._stager.stage(bundle, source, run.guard))
        except BundleRefused as error:
            places = (FileError(error.path, error.line, error.message),) if error.path else ()
            raise _Failure("fetch", place(error.path, error.line, error.message), places) from None
        except OSError as error:
            raise _Failure("fetch", f"The files cannot be written on the agent's machine: {error.strerror}.") from None
        for warning in staged.warnings:
            run.output.warn(warning)
        run.warnings = staged.warnings
        if staged.replaces_edits:
            self.on_edits()
        run.entry = replace(run.entry, release=staged.name)
        run.output.succeed(f"{staged.new_files} of {len(bundle.files)} files are new")
        return staged

    def _test(self, run: _Run, staged: Staged) -> None:
        """The test has been running beside the writing; here is its end."""
        self._record(run, "test")
        run.output.stage("test", f"Testing {staged.changed} changed files with nginx -t")
        try:
            verdict = staged.verdict()
        except NginxUnavailable as error:
            raise _Failure("test", error.message) from None
        except OSError as error:
            raise _Failure("test", f"The test cannot be written on the agent's machine: {error.strerror}.") from None
        tell(verdict, run.output)
        run.warnings = (*run.warnings, *verdict.warnings)
        if not verdict.ok:
            raise _Failure("test", describe(verdict), verdict.file_errors)
        run.output.succeed("nginx takes the changed files")

    def _fail(self, run: _Run, failure: _Failure) -> Outcome:
        """Nothing live was touched: the new release goes, the current one stays."""
        run.output.fail(failure.message)
        self._record(run, "failed")
        if run.entry.release:
            self._releases.discard(run.entry.release)
        return Outcome(
            revision=self._proved_revision(),
            error=failure.message,
            failed_stage=failure.stage,
            file_errors=failure.file_errors,
            warnings=run.warnings,
        )

    # ---- from here on it ends in applied, rolled back or degraded ------------------------------------------------

    def _go_live(self, run: _Run, before: Before | None) -> Outcome:
        try:
            self._record(run, "switch")
            failpoints.hit("apply:intent")
            self._releases.switch(run.entry.release)
            failpoints.hit("apply:switched")
        except OSError as error:
            return self._fail(run, _Failure("switch", f"The files cannot be put in place: {error.strerror}."))
        run.output.succeed("The new files are in place")
        run.output.stage("reload", "Telling nginx to load them")
        if before is None:
            before = self._undo.wait_for_nginx(self._patience, run.guard.stopping)
            if before is None:
                return self._fail(
                    run, _Failure("reload", "The new files are in place; start nginx, it will take them.")
                )
        return self._reload(run, before)

    def _reload(self, run: _Run, before: Before | None) -> Outcome:
        self._record(run, "reload")
        if before is None:
            return self._roll_back(run, "reload", Proof("nginx did not start with the new files."), None)
        try:
            self._nginx.reload()
        except NginxUnavailable as error:
            return self._roll_back(run, "reload", Proof(error.message, settled=True), before)
        failpoints.hit("apply:hup_sent")
        run.output.succeed("nginx was told")
        return self._prove(run, before)

    def _prove(self, run: _Run, before: Before) -> Outcome:
        self._record(run, "prove")
        run.output.stage("prove", "Waiting until nginx serves the new revision on every new connection")
        proof = prove(self._nginx, run.entry.revision, before, run.guard.stopping, self._patience)
        if not proof.ok:
            return self._roll_back(run, "reload" if proof.lines else "prove", proof, before)
        failpoints.hit("apply:verified")
        self._record(run, "applied")
        failpoints.hit("apply:applied_journalled")
        self._turn.release()
        self._releases.prune(run.entry.previous)
        run.output.succeed(f"nginx serves revision {run.entry.revision[:12]}")
        return Outcome(revision=run.entry.revision, warnings=run.warnings)

    def _roll_back(self, run: _Run, stage: str, proof: Proof, before: Before | None) -> Outcome:
        """Puts the previous release back and proves that nginx serves it. `before` is what preceded the reload."""
        folder = self._layout.release(run.entry.release)
        for text in unique(relative(line.text, folder, self._layout.root) for line in proof.lines):
            run.output.fail(text)
        error = relative(proof.problem, folder, self._layout.root)
        if not proof.lines:
            run.output.fail(error)
        errors = tuple({found: None for line in proof.lines if (found := locate(line, folder))})
        self._record(run, "rollback")
        run.output.stage("rollback", "Putting the previous files back")
        outcome = Outcome(revision="", error=error, failed_stage=stage, file_errors=errors, warnings=run.warnings)
        previous = run.entry.previous
        problem = self._undo.put_back(previous, proof, before, run.output, run.guard)
        if problem:
            return self._degrade(run, outcome, problem)
        self._record(run, "rolled_back")
        run.output.succeed("The previous files are back, and nginx serves them")
        blamed = () if proof.is_about_ports else self._undo.blame(run.entry.release, previous, run.output, run.guard)
        refusal = self._undo.refusal(previous, run.guard.stopping)
        if refusal and not blamed:
            return self._degrade(run, outcome, f"nginx could not be started from them: {refusal}")
        if refusal:
            run.output.warn(f"nginx could not be started from the previous files: {refusal}")
            self._undo.rescue(run.entry.release, run.output, run.guard.stopping)
        if blamed and not proof.lines:
            outcome = replace(outcome, error=f"nginx refused the configuration: {blamed[0].text}")
        revision = _wire(revision_of(previous, self._releases.get))
        return replace(outcome, revision=revision, rolled_back=True, file_errors=blamed or errors)

    def _degrade(self, run: _Run, outcome: Outcome, problem: str) -> Outcome:
        """Loud, and nothing is tried again; but whatever is on disk, nginx can be started from it."""
        self._record(run, "degraded")
        run.output.fail(problem)
        _log.error("apply %s: the rollback failed too: %s", run.entry.command_id, problem)
        self._undo.rescue(run.entry.release, run.output, run.guard.stopping)
        return replace(
            outcome, degraded=True, error=f"{outcome.error} Putting the previous files back failed too: {problem}"
        )

    # ---- small things --------------------------------------------------------------------------------------------

    def _record(self, run: _Run, phase: str) -> None:
        """Before the switch a journal that cannot be written ends the apply; after it, going on is the safer way."""
        run.entry = replace(run.entry, phase=phase)
        try:
            self._journal.record_phase(run.entry)
        except sqlite3.Error as error:
            if phase in {"fetch", "test", "switch"}:
                raise AgentError(f"The agent's journal cannot be written ({error}). Nothing was changed.") from error
            _log.exception("the phase %s of apply %s could not be journalled", phase, run.entry.command_id)

    def _proved_revision(self) -> str:
        return _wire(self._nginx.revision())


def _wire(revision: str) -> str:
    return "" if revision == NO_REVISION else revision
