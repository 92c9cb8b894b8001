"""After a reload that failed: the files before come back, the files at fault are named, nginx can start from disk.
May import: agent.errors, agent.failpoints, agent.output and the parts of agent.nginx below agent.nginx.apply."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from agent import failpoints
from agent.errors import AgentError, NginxUnavailable
from agent.nginx.guard import Guard
from agent.nginx.interface import Nginx
from agent.nginx.layout import Layout
from agent.nginx.proof import Before, Proof, look, prove, prove_unchanged
from agent.nginx.release import Release, Releases
from agent.nginx.stage import Stager
from agent.nginx.words import FATAL, FileError, relative
from agent.output import Output

_log = logging.getLogger(__name__)

_TEST_SECONDS = 60.0


@dataclass(frozen=True)
class Undo:
    """What follows a reload that failed. `patience` is how many seconds a restarted nginx gets to come back."""

    layout: Layout
    nginx: Nginx
    releases: Releases
    stager: Stager
    patience: float

    def put_back(self, name: str, proof: Proof, before: Before | None, output: Output, guard: Guard) -> str:
        """Makes the release `name` current again and proves that nginx serves it. Empty when all is well, else what is
        not. `before` is what preceded the reload that `proof` tells of. Raises Stopping."""
        if not name or not self.layout.release(name).exists():
            return "There are no previous files to put back."
        try:
            self.releases.switch(name)
        except OSError as error:
            return f"The agent's machine refused it: {error.strerror}."
        failpoints.hit("rollback:switched")
        problem = self._prove(name, proof, before, output, guard.stopping)
        failpoints.hit("rollback:verified")
        return relative(problem, self.layout.release(name), self.layout.root)

    def blame(self, failed: str, previous: str, output: Output, guard: Guard) -> tuple[FileError, ...]:
        """The files of a refused release that are at fault, by full tests in which changed files come last: nginx
        blames the later one of two files that do not go together. Empty when that cannot be told."""
        release, before = self.releases.get(failed), self.releases.get(previous)
        if release is None:
            return ()
        known = {(file.path, file.sha256) for file in before.bundle.files} if before else set()
        ordered = sorted(release.bundle.files, key=lambda file: ((file.path, file.sha256) not in known, file.path))
        folder = self.layout.release(failed)
        try:
            verdict = self.stager.find_refused(folder, [file.path for file in ordered], _guard(guard.stopping))
        except (AgentError, OSError) as error:
            _log.warning("the files at fault could not be told apart: %s", error)
            return ()
        if verdict.file_errors:
            output.info("The files at fault were found by testing the whole configuration")
        return verdict.file_errors

    def refusal(self, name: str, stopping: threading.Event) -> str:
        """What nginx says against starting from a release; empty when it would start, or cannot be asked now."""
        conf = self.layout.release(name) / "nginx.conf"
        if not conf.exists():
            return "its nginx.conf is gone"
        try:
            report = self.nginx.test(conf, _guard(stopping))
        except (AgentError, OSError) as error:
            _log.warning("release %s could not be tested: %s", name, error)
            return ""
        words = next((line.text for line in report.lines if line.level in FATAL), "no reason was given")
        return "" if report.ok else relative(words, self.layout.release(name), self.layout.root)

    def rescue(self, failed: str, output: Output, stopping: threading.Event) -> None:
        """When nginx could not be started from the current release: switches to the newest one but `failed` that it
        could be started from. A running nginx is left alone."""
        current = self.releases.current_name()
        if current != failed and not self.refusal(current, stopping):
            return
        for name in self.releases.names():
            if name not in {current, failed} and not self.refusal(name, stopping):
                self.releases.switch(name)
                output.warn(f"nginx goes on with what it runs; if it is restarted, it serves revision {name[:12]}")
                return
        output.warn("nginx goes on with what it runs; there is no release that it could be restarted from")

    def wait_for_nginx(self, seconds: float, stopping: threading.Event) -> Before | None:
        """Until nginx runs and serves: it may be restarted just now. One that does not come up gives None."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                before = look(self.nginx)
            except NginxUnavailable:
                before = None
            if (before and before.processes.serving) or stopping.is_set() or time.monotonic() > deadline:
                return before
            stopping.wait(0.05)

    def _prove(self, name: str, proof: Proof, before: Before | None, output: Output, stopping: threading.Event) -> str:
        """Empty when nginx serves the release."""
        revision = revision_of(name, self.releases.get)
        if proof.settled and before is not None and prove_unchanged(self.nginx, revision, before):
            output.info("nginx had kept the previous configuration; no reload was needed")
            return ""
        now = self.wait_for_nginx(self.patience, stopping)
        try:
            now = now or look(self.nginx)
            self.nginx.reload()
        except NginxUnavailable as error:
            return error.message
        return prove(self.nginx, revision, now, stopping, self.patience).problem


def revision_of(name: str, get: Callable[[str], Release | None]) -> str:
    """The revision of a release, also of one that has lost its manifest: its name begins with it."""
    release = get(name)
    return release.bundle.revision if release else name.partition(".")[0]


def _guard(stopping: threading.Event) -> Guard:
    return Guard(time.monotonic() + _TEST_SECONDS, stopping=stopping)
