"""Puts versions of certificates into use: links, reload, handshake; and back when nginx refuses or serves the old one.
May import: agent.errors, agent.failpoints, agent.output, agent.acme, agent.nginx.{guard,reload,turn}."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from agent import failpoints
from agent.acme.handshake import served_sha256
from agent.acme.installed import Batch, Installed, Member, refusal, storage_failure
from agent.acme.leaf import read_leaf
from agent.acme.lineage import Lineages
from agent.acme.state import Install
from agent.acme.store import Store
from agent.acme.usage import Usage
from agent.errors import AgentError, Cancelled, NginxUnavailable, Stopping, TimedOut
from agent.nginx.guard import Guard
from agent.nginx.turn import Turn
from agent.output import Output

_log = logging.getLogger(__name__)

# How long the first of several renewals waits for the others, so that nginx reloads once for all of them.
GATHER_SECONDS = 2.0
# How long a first certificate waits for the host that wants it.
RELEASE_SECONDS = 60.0

_TRIED_ALONE = 2

LoadAgain = Callable[[threading.Event], str]


@dataclass(frozen=True)
class Places:
    """What an installer works on. `load_again` makes nginx load its files, proved: agent.nginx.reload. `address` is
    where nginx is, and raises NginxUnavailable."""

    lineages: Lineages
    store: Store
    usage: Usage
    turn: Turn
    load_again: LoadAgain
    https_port: int
    address: Callable[[], str] = lambda: "127.0.0.1"


class Installer:
    """Thread-safe: those who arrive together share one reload."""

    def __init__(self, places: Places, *, release_seconds: float = RELEASE_SECONDS) -> None:
        self._at = places
        self.turn = places.turn
        self._release_seconds = release_seconds
        self._news = threading.Condition()
        self._expected = 0
        self._open: Batch | None = None

    @contextmanager
    def expected(self) -> Iterator[None]:
        """Somebody is on the way to `install`: a batch waits a moment for it."""
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    def install(self, name: str, version: int, output: Output, guard: Guard) -> Installed:
        """Makes a version the one that is used. Raises Cancelled or TimedOut before anything is touched, and Stopping;
        then the next start goes on; AgentError after an error of the agent. Called within `expected`."""
        guard.check()
        leaf = read_leaf(self._at.lineages.material(name, version).leaf_pem)
        member = Member(name, version, leaf.sha256, output, guard)
        batch, is_first = self._join(member)
        if is_first:
            self._lead(batch)
        else:
            batch.done.wait()
        if isinstance(member.end, Exception):
            raise member.end
        end = member.end
        if end is None:
            raise AgentError("The installation was ended by an error in the agent; its log has the details.")
        self._at.store.update(name, install=None)
        if end.failure is None:
            self._at.lineages.prune(name)
        return end

    def await_release(self, name: str, output: Output, guard: Guard) -> Installed:
        """Until nginx's configuration names a first certificate, then the handshake. It is there whatever happens."""
        at = self._at
        output.stage("reload", "Waiting until the host's configuration uses the certificate")
        try:
            is_named = at.turn.wait_until(lambda: at.usage.is_named(name), self._release_seconds, guard)
        except (Cancelled, TimedOut):
            is_named = False
        if not is_named:
            output.warn("The certificate is there, and no host uses it yet. Look at the host's page.")
            return Installed()
        output.succeed("nginx has loaded a configuration that uses the certificate")
        sha256 = at.lineages.look(name).leaf
        return self._see(Member(name, 0, sha256.sha256 if sha256 else "", output, guard))

    def _count(self, change: int) -> None:
        with self._news:
            self._expected += change
            self._news.notify_all()

    def _join(self, member: Member) -> tuple[Batch, bool]:
        with self._news:
            is_first = self._open is None
            batch = self._open = self._open or Batch()
            batch.members.append(member)
            self._news.notify_all()
        return batch, is_first

    def _lead(self, batch: Batch) -> None:
        """Waits for those who are on their way, and for its turn; who comes meanwhile comes along."""
        try:
            with self._news:
                self._news.wait_for(lambda: len(batch.members) >= self._expected, GATHER_SECONDS)
            with self._at.turn.taken():
                with self._news:
                    self._open = None
                self._run(batch.members)
        except (AgentError, OSError, sqlite3.Error) as error:  # each member raises it in its own thread
            for member in batch.members:
                member.end = member.end or error
        finally:
            batch.done.set()

    # ---- with the turn -------------------------------------------------------------------------------------------

    def _run(self, members: Sequence[Member]) -> None:
        for member in members:
            self._switch(member)
        named = [member for member in members if member.is_named and member.end is None]
        for member in members:
            if not member.is_named and member.end is None:
                member.end = Installed()
        if not named:
            return
        for member in named:
            others = f" for {len(named)} certificates" if len(named) > 1 else ""
            member.output.stage("reload", f"Telling nginx to load the certificate{others}")
        self._reload(named)

    def _switch(self, member: Member) -> None:
        """The links, after a note of it that the next start reads."""
        at, name = self._at, member.name
        member.output.stage("installed", f"Putting version {member.version} of {name} into use")
        try:
            memory = at.store.get(name)
            known = memory.install if memory else None
            used = at.lineages.look(name).version
            previous = known.previous if known and known.version == member.version else used
            member.previous = previous if previous != member.version else 0
            at.store.update(name, install=Install(member.version, member.previous, "switch"))
            failpoints.hit("certificate:intent")
            at.lineages.switch(name, member.version)
            failpoints.hit("certificate:switched")
            member.is_named = at.usage.is_named(name)
        except (AgentError, OSError, sqlite3.Error) as error:
            member.end = Installed(failure=storage_failure(at.lineages.root, error), stage="installed")
            return
        member.output.succeed("The files are in place")

    def _reload(self, members: Sequence[Member]) -> None:
        try:
            self._at.load_again(members[0].guard.stopping)
        except NginxUnavailable as error:
            for member in members:
                member.output.warn(f"{error.message} It takes the certificate when it starts.")
                member.end = Installed()
            return
        except Stopping:
            raise
        except AgentError as error:
            self._refused(members, error.message)
            return
        failpoints.hit("certificate:reloaded")
        for member in members:
            member.output.succeed("nginx has loaded its files again")
            member.end = self._see(member)
        self._put_back([member for member in members if member.has_failed])

    def _refused(self, members: Sequence[Member], problem: str) -> None:
        """Everything goes back; of several, each is then tried alone, so that one does not hold up the others."""
        for member in members:
            member.output.fail(problem)
            member.end = Installed(failure=refusal(problem), stage="reload")
        self._put_back(members)
        if len(members) > 1:
            self._try_alone(members)

    def _try_alone(self, members: Sequence[Member]) -> None:
        """When the first two fail alone too, it is not about certificates, and the others are spared it."""
        for tried, member in enumerate(members):
            if tried >= _TRIED_ALONE and all(each.has_failed for each in members[:tried]):
                return
            member.output.info("Trying again without the other certificates")
            member.end = None
            self._run([member])

    def _see(self, member: Member) -> Installed:
        """Whether visitors get it."""
        at, output = self._at, member.output
        names = at.usage.server_names(member.name)
        output.stage("served", f"Asking nginx for the certificate by a TLS handshake on port {at.https_port}")
        if not names:
            output.warn("No host that uses it has a name to ask for, so a handshake could not tell.")
            return Installed()
        for name in names[:3]:
            if not self._is_served(name, member.sha256):
                text = f"nginx serves another certificate for {name}, or none."
                output.fail(text)
                return Installed(failure=refusal(text), stage="served")
        at.store.update(member.name, served=member.sha256)
        failpoints.hit("certificate:served")
        output.succeed(f"nginx serves the new certificate for {names[0]}")
        return Installed(served=True)

    def _is_served(self, name: str, sha256: str) -> bool:
        try:
            address = self._at.address()
        except NginxUnavailable as error:
            _log.warning("a handshake was not tried: %s", error.message)
            return False
        return served_sha256(address, self._at.https_port, name) == sha256

    def _put_back(self, members: Sequence[Member]) -> None:
        """The versions before, for those that have one; then nginx loads and proves those."""
        back = [member for member in members if member.previous]
        for member in back:
            member.output.stage("installed", f"Putting version {member.previous} of {member.name} back into use")
            self._at.store.update(member.name, install=Install(member.version, member.previous, "back"))
            self._at.lineages.switch(member.name, member.previous)
            failpoints.hit("certificate:back")
        if not back:
            return
        problem = self._load_quietly(back[0].guard.stopping)
        for member in back:
            end = member.end if isinstance(member.end, Installed) else Installed()
            if problem:
                member.output.fail(f"nginx could not load the files that were put back: {problem}")
            else:
                member.output.succeed("The certificate before is in use again, and nginx has loaded it")
            member.end = Installed(rolled_back=not problem, failure=end.failure, stage=end.stage)

    def _load_quietly(self, stopping: threading.Event) -> str:
        try:
            self._at.load_again(stopping)
        except Stopping:
            raise
        except AgentError as error:
            _log.error("after a certificate was put back: %s", error.message)
            return error.message
        return ""
