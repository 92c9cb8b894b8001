"""All checks at once, within a few seconds, and without asking the authority for anything but its directory.
May import: agent.acme.{causes,http01,order,spec}, agent.acme.check, agent.dns.spec, agent.errors."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TypeVar

from agent.acme.causes import say
from agent.acme.check import addresses, caa, directory
from agent.acme.check.crew import Crew
from agent.acme.check.delegation import check_credential, check_delegation
from agent.acme.check.limits import check_limits
from agent.acme.check.lookup import Lookup
from agent.acme.check.names import as_address, check_names
from agent.acme.check.path import check_path
from agent.acme.check.probe import Token
from agent.acme.check.public import check_public
from agent.acme.check.storage import check_storage
from agent.acme.check.surroundings import Deadline, NameServers, Question, Surroundings
from agent.acme.http01 import FOLDER, TokenFiles
from agent.acme.order import DirectoryFacts
from agent.acme.spec import AcmeFailure, CertificateSpec, Challenge, Finding, Level
from agent.dns.spec import DnsSettings
from agent.errors import TimedOut

Result = TypeVar("Result")

GRACE = 0.2  # seconds for what ends just at the deadline
_ORDER = ("storage", "clock", "directory", "address", "caa", "path", "public", "dns")
_LATE = {
    "storage": "The disk did not answer in time.",
    "address": "The address of {} could not be looked up in time.",
    "caa": "Whether a CAA record stands in the way of {} could not be found out in time.",
    "path": "nginx did not answer in time for {}.",
    "public": "What answers at the address of {} could not be found out in time.",
    "dns": "The DNS check could not be tried in time.",
}


def check(spec: CertificateSpec, surroundings: Surroundings) -> list[Finding]:
    """What stands in the way of this certificate at the first of its authorities, and what is fine: sure things first.

    Takes `surroundings.seconds` and a little more at most, also when nothing answers; what was not found out by then
    is said as INFO. Changes nothing that stays. Raises nothing that a person could cause."""
    if not spec.authorities:
        return [Finding(Level.ERROR, "directory", "No authority is chosen.", next_step="Choose one.")]
    deadline = Deadline(surroundings.seconds)
    question = Question(spec, spec.authorities[0], surroundings, deadline)
    found = check_names(question)
    refused = {finding.subject for finding in found if finding.level is Level.ERROR}
    names = [name for name in dict.fromkeys(spec.names) if name not in refused]
    with ExitStack() as stack:
        run = _Run(question, Crew("check"), Deadline(surroundings.seconds + GRACE))
        stack.callback(run.crew.close)
        run.begin(names, stack)
        return [*found, *run.collect()]


@dataclass
class _Run:
    """What was begun, in the order in which it is told."""

    question: Question
    crew: Crew
    end: Deadline
    parts: list[tuple[str, str, Future[list[Finding]]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        authority, here = self.question.authority, self.question.here
        servers = here.name_servers
        if authority.dns_server:
            servers = NameServers((DnsSettings(authority.dns_server).address,))
        self.lookup = Lookup(servers, self.question.deadline, lambda a: addresses.may_connect(a, self.question))
        self.facts = self.crew.submit(partial(_read_directory, self.question))

    def begin(self, names: Sequence[str], stack: ExitStack) -> None:
        """Starts everything; files that are needed meanwhile go with the stack."""
        self._add("storage", "", partial(check_storage, self.question))
        if self.question.spec.challenge is Challenge.DNS_01:
            self._add("dns", "", partial(check_credential, self.question, self.lookup))
            for name in names:
                self._add("dns", name, partial(check_delegation, name, self.lookup))
        else:
            self._begin_http(names, stack)
        for name in names:
            if as_address(name) is None:
                self._add("caa", name, partial(self._check_caa, name))

    def collect(self) -> list[Finding]:
        """Waits for all of it. Raises what a check raised that it should not have."""
        answered = _within(self.facts, self.end)
        found = _judge_directory(self.question, answered)
        for check_name, subject, future in self.parts:
            findings = _within(future, self.end)
            if findings is None:
                sentence = _LATE[check_name].format(subject)
                findings = [Finding(Level.INFO, check_name, sentence, subject)]
            found += findings
        return [*sorted(found, key=lambda finding: _ORDER.index(finding.check)), *check_limits(self.question)]

    def _add(self, check_name: str, subject: str, call: Callable[[], list[Finding]]) -> None:
        self.parts.append((check_name, subject, self.crew.submit(call)))

    def _begin_http(self, names: Sequence[str], stack: ExitStack) -> None:
        name_of_file, text = secrets.token_urlsafe(24), secrets.token_urlsafe(32)
        try:
            stack.enter_context(TokenFiles(self.question.here.webroot)).write(name_of_file, text)
        except OSError as error:
            self._add("path", "", partial(_no_webroot, self.question, error))
            return
        token = Token(f"/{FOLDER}/{name_of_file}", text)
        for name in names:
            self._add("path", name, partial(_as_list, check_path, name, token, self.question))
            self._add("public", name, partial(self._check_reach, name, token))

    def _check_reach(self, name: str, token: Token) -> list[Finding]:
        ask_owners = not self.question.authority.dns_server
        found = addresses.find_addresses(name, self.lookup, ask_owners=ask_owners)
        judged = [] if as_address(name) else addresses.judge(name, found, self.question)
        return judged + check_public(name, found, token, self.question, self.lookup)

    def _check_caa(self, name: str) -> list[Finding]:
        policy = caa.find_policy(name, self.lookup)
        answered = _within(self.facts, self.end)
        facts = answered[0] if answered is not None else None
        identities = facts.caa_identities if isinstance(facts, DirectoryFacts) else ()
        return [caa.judge(name, policy, self.question, identities)]


def _as_list(call: Callable[..., Finding], *arguments: object) -> list[Finding]:
    return [call(*arguments)]


def _read_directory(question: Question) -> tuple[DirectoryFacts | AcmeFailure, datetime]:
    """The facts, or why there are none, and what this machine's clock said then."""
    try:
        facts: DirectoryFacts | AcmeFailure = question.here.authorities.directory(question.authority)
    except AcmeFailure as failure:
        facts = failure
    return facts, question.here.now()


def _judge_directory(
    question: Question, answered: tuple[DirectoryFacts | AcmeFailure, datetime] | None
) -> list[Finding]:
    if answered is None:
        return [directory.describe_failure(question, None)]
    facts, at = answered
    if isinstance(facts, AcmeFailure):
        return [directory.describe_failure(question, facts)]
    return directory.check_clock(question, facts, at) + directory.check_directory(question, facts)


def _no_webroot(question: Question, error: OSError) -> list[Finding]:
    detail = f"{error.strerror or error}."
    sentence, next_step = say("storage", path=str(question.here.webroot), detail=detail)
    return [Finding(Level.ERROR, "path", sentence, next_step=next_step, cause="storage")]


def _within(future: Future[Result], deadline: Deadline) -> Result | None:
    """None when it has not ended by the deadline."""
    try:
        return future.result(deadline.remaining())
    except (TimeoutError, TimedOut):
        if future.done() and not isinstance(future.exception(), TimedOut):
            raise
        return None
