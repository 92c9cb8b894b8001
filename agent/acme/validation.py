"""Showing an authority that names are ours (RFC 8555 section 7.5): all challenges at once, decided together.
May import: agent.acme, agent.failpoints, agent.nginx.guard."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from agent import failpoints
from agent.acme.answers import Answer
from agent.acme.causes import list_names
from agent.acme.failures import Context, classify_names, failure
from agent.acme.objects import AuthorizationState, ChallengeState, OrderState
from agent.acme.order import OrderLog
from agent.acme.pace import FIRST_LOOK, delays, patience, wait
from agent.acme.placing import Placing
from agent.acme.problems import BrokenOrder, NotAnAuthority, Problem, ProblemReply
from agent.acme.session import Session
from agent.acme.spec import AcmeFailure, Challenge
from agent.acme.steps import News, Steps
from agent.nginx.guard import Guard

_LATE_NAMES_SECONDS = 15.0  # how long other names are waited for after one has failed
_OPEN = frozenset({"pending", "processing"})


@dataclass(frozen=True)
class Validation:
    """The names of one order."""

    session: Session
    challenge: Challenge
    context: Context
    log: OrderLog
    steps: Steps
    guard: Guard

    def show(self, order: OrderState, placing: Placing, placed: ExitStack, *, resumed: bool) -> None:
        """Puts all challenges in place, then lets the authority look at all of them at once.

        What a killed agent left in place for names that are decided by now is taken away.
        """
        authorizations = [self.session.authorization(url)[0] for url in order.authorizations]
        waiting = [a for a in authorizations if a.status == "pending"]
        decided = [self._answer_of(a, c) for a in authorizations if a not in waiting for c in self._offered(a)]
        if resumed and decided:
            placing.sweep(decided)
        if order.status != "pending":
            return
        self._refuse_failed([a for a in authorizations if a.status not in _OPEN | {"valid"}])
        if not waiting:
            self.steps.output.info(f"{self.context.label} still knows that these names are ours: nothing to show.")
            return
        chosen = [(authorization, self._choose(authorization)) for authorization in waiting]
        self.steps.begin("challenge", placing.describe(len(chosen)))
        placing.place([self._answer_of(authorization, challenge) for authorization, challenge in chosen], placed)
        failpoints.hit("acme:challenge_placed")
        self._await_names(chosen)
        failpoints.hit("acme:validated")

    def sweep(self, order: OrderState, placing: Placing) -> None:
        """Takes away what a killed agent may have left in place for an order that is not gone on with."""
        try:
            found = [self.session.authorization(url)[0] for url in order.authorizations]
        except (ProblemReply, BrokenOrder, NotAnAuthority) as error:
            self.steps.output.info(f"What was to be shown for that order is not known any more ({error}).")
            return
        placing.sweep([self._answer_of(a, c) for a in found for c in self._offered(a)])

    def _choose(self, authorization: AuthorizationState) -> ChallengeState:
        for challenge in self._offered(authorization):
            return challenge
        raise AcmeFailure(failure("no_challenge", self.context, names=[authorization.name]))

    def _offered(self, authorization: AuthorizationState) -> list[ChallengeState]:
        return [challenge for challenge in authorization.challenges if challenge.kind == self.challenge.value]

    def _answer_of(self, authorization: AuthorizationState, challenge: ChallengeState) -> Answer:
        return Answer(authorization.base, challenge.token, self.session.key_authorization(challenge.token))

    def _await_names(self, chosen: Sequence[tuple[AuthorizationState, ChallengeState]]) -> None:
        """Says that all is in place and looks until the authority has decided about each name."""
        label, count = self.context.label, len(chosen)
        self.steps.begin("validation", f"{label} checks {_count(count)}. This usually takes 5 to 30 seconds.")
        for authorization, challenge in chosen:
            self._answer(authorization, challenge)
        failpoints.hit("acme:challenge_answered")
        left = {authorization.url: authorization for authorization, _ in chosen}
        failed, news, since, pause = list[AuthorizationState](), News(self.steps.output), 0.0, FIRST_LOOK
        for delay in delays():
            wait(self.guard, pause)
            hints = [self._look(url, left, failed) for url in list(left)]
            if failed and not since:
                since = time.monotonic()
            if not left or (failed and time.monotonic() - since > _LATE_NAMES_SECONDS):
                break
            news.tell(f"Still waiting for {label}: {count - len(left)} of {count} checked")
            pause = patience(hints, delay)
        self._refuse_failed(failed)
        self.steps.output.succeed(f"{label} has checked {list_names([a.name for a, _ in chosen])}.")

    def _look(self, url: str, left: dict[str, AuthorizationState], failed: list[AuthorizationState]) -> float | None:
        """One look at one name. Takes it out of `left` when it is decided."""
        now, hint = self.session.authorization(url)
        if now.status in _OPEN:
            return hint
        del left[url]
        if now.status != "valid":
            failed.append(now)
            self.steps.output.fail(f"{now.name}: {_problem_of(now).detail}")
        return None

    def _answer(self, authorization: AuthorizationState, challenge: ChallengeState) -> None:
        """A challenge that was answered before a restart is decided without us."""
        if challenge.status != "pending":
            return
        try:
            self.session.answer(challenge)
        except ProblemReply as reply:
            if (
                reply.problem.kind != "malformed"
                or self.session.authorization(authorization.url)[0].status == "pending"
            ):
                raise

    def _refuse_failed(self, failed: Sequence[AuthorizationState]) -> None:
        """Raises AcmeFailure when there are any; the order is dead then."""
        if failed:
            self.log.order_made("")
            problems = [(authorization.name, _problem_of(authorization)) for authorization in failed]
            raise AcmeFailure(classify_names(problems, self.context))


def _problem_of(authorization: AuthorizationState) -> Problem:
    """Why a name failed. An authorization may also just have expired, or been given up by somebody."""
    for challenge in authorization.challenges:
        if challenge.problem is not None:
            return challenge.problem
    return Problem("malformed", f"expired authorization: it is {authorization.status or 'in no state'}")


def _count(names: int) -> str:
    return "the name" if names == 1 else f"{names} names"
