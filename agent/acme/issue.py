"""One order from its making to the certificate (RFC 8555 section 7.4), resumed from wherever it stands.
May import: agent.acme, agent.dns, agent.failpoints, agent.nginx.guard, agent.output."""

from __future__ import annotations

import ipaddress
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent import failpoints
from agent.acme.ari import certificate_id
from agent.acme.causes import list_names
from agent.acme.chain import Chain, read_chain, signing_request
from agent.acme.failures import BadCertificate, Context, classify
from agent.acme.objects import OrderState
from agent.acme.order import OrderLog, OrderRequest
from agent.acme.pace import Throttle, delays, patience, wait
from agent.acme.placing import Placing
from agent.acme.problems import Problem, ProblemReply
from agent.acme.session import Session
from agent.acme.spec import Issued
from agent.acme.steps import News, Steps
from agent.acme.validation import Validation
from agent.nginx.guard import Guard


@dataclass(frozen=True)
class Issuance:
    """One attempt at one authority. `names` are lower case, without doubles."""

    session: Session
    request: OrderRequest
    names: tuple[str, ...]
    context: Context
    webroot: Path
    log: OrderLog
    steps: Steps
    guard: Guard
    throttle: Throttle

    def run(self, order_url: str) -> Issued:
        """The certificate. Raises ProblemReply and its kin, AcmeFailure, and what the guard raises."""
        label = self.context.label
        self.steps.begin("order", f"Ordering a certificate for {list_names(self.names)} from {label}.")
        order = self._resumed(order_url) if order_url else None
        if order is None:
            return self._complete(self._new_order())
        try:
            return self._complete(order, resumed=True)
        except BadCertificate as error:
            self.steps.output.info(f"The order that was begun does not fit: {error}. Making a new one.")
            return self._complete(self._new_order())

    def _complete(self, order: OrderState, *, resumed: bool = False) -> Issued:
        """From where the order stands to the certificate."""
        with ExitStack() as placed:
            if order.status == "pending" or resumed:
                self._validation().show(order, self._placing(), placed, resumed=resumed)
            chain = self._fetch(order)
        leaf, rest = chain.leaf_pem, chain.chain_pem
        return Issued(leaf, rest, self.request.key_pem, self.request.authority, self.session.directory.url)

    def _placing(self) -> Placing:
        return Placing(self.request.spec, self.request.authority, self.webroot, self.steps.output, self.guard)

    def _validation(self) -> Validation:
        challenge = self.request.spec.challenge
        return Validation(self.session, challenge, self.context, self.log, self.steps, self.guard)

    def _resumed(self, url: str) -> OrderState | None:
        """The order that was begun before; None when it is of no use any more."""
        output = self.steps.output
        try:
            order, _ = self.session.order(url)
        except ProblemReply as reply:
            if reply.problem.status not in {400, 401, 403, 404} or is_account_gone(reply.problem, self.context):
                raise
            output.info(f"The order that was begun is gone ({reply.problem.detail}). Making a new one.")
            self.log.order_made("")
            return None
        expired = order.expires is not None and order.expires <= datetime.now(UTC)
        if order.status == "invalid" or order.names != frozenset(self.names) or (expired and order.status != "valid"):
            output.info("The order that was begun is of no use any more. Making a new one.")
            self._validation().sweep(order, self._placing())
            self.log.order_made("")
            return None
        output.succeed(f"Going on with the order that was begun: {order.url} ({order.status}).")
        return order

    def _new_order(self) -> OrderState:
        """Orders, first with all that was wished for, then without what the authority does not take."""
        wait(self.guard, self.throttle.order())
        extras = self._extras()
        while True:
            try:
                order = self.session.new_order({"identifiers": [identifier(name) for name in self.names], **extras})
            except ProblemReply as reply:
                extra = _refused_extra(reply.problem, extras)
                if not extra or is_account_gone(reply.problem, self.context):
                    raise
                del extras[extra]
                said = f"{self.context.label} refuses {_EXTRAS[extra]} ({reply.problem.detail})."
                self.steps.output.warn(f"{said} Going on without.")
            else:
                self.log.order_made(order.url)
                failpoints.hit("acme:order_stored")
                self.steps.output.succeed(f"The order is made: {order.url}")
                return order

    def _extras(self) -> dict[str, Any]:
        """Profile, and the certificate that is replaced (RFC 9773 section 5): such orders are exempt from limits."""
        extras = dict[str, Any]()
        if self.request.spec.profile:
            extras["profile"] = self.request.spec.profile
        if self.request.replaces_pem and self.session.directory.renewal_info:
            replaced = certificate_id(self.request.replaces_pem)
            extras |= {"replaces": replaced} if replaced else {}
        return extras

    def _fetch(self, order: OrderState) -> Chain:
        """Asks for the certificate, waits for it, and checks it."""
        label = self.context.label
        self.steps.begin("issued", f"{label} makes the certificate. This usually takes a few seconds.")
        order = self._await_certificate(order)
        failpoints.hit("acme:finalized")
        try:
            chain = read_chain(self.session.certificate(order), self.request.key_pem, self.names)
        except BadCertificate:
            self.log.order_made("")
            raise
        failpoints.hit("acme:downloaded")
        until = f"valid until {chain.not_after.day} {chain.not_after:%B %Y}"
        self.steps.output.succeed(f"Issued by {chain.issuer}: serial {chain.serial}, {until}.")
        if chain.not_before > datetime.now(UTC):
            self.steps.output.warn("It is not valid yet by the clock of this machine. Look whether the clock is right.")
        return chain

    def _await_certificate(self, order: OrderState) -> OrderState:
        """Asks for it when the order is ready, which changes nothing when that was done before (section 7.4)."""
        news, hint = News(self.steps.output), None
        if order.status == "pending":
            order, hint = self.session.order(order.url)
        for delay in delays():
            if order.status == "ready":
                order, hint = self._finalized(order)
            if order.status == "valid" and order.certificate:
                return order
            if order.status == "invalid":
                self.log.order_made("")
                raise ProblemReply(order.problem or Problem("other", "the order became invalid"))
            news.tell(f"Still waiting for {self.context.label}: the order is {order.status}")
            wait(self.guard, patience([hint], delay))
            order, hint = self.session.order(order.url)
        raise AssertionError("delays never end")

    def _finalized(self, order: OrderState) -> tuple[OrderState, float | None]:
        try:
            return self.session.finalize(order, signing_request(self.request.key_pem, self.names))
        except ProblemReply as reply:
            if reply.problem.kind == "orderNotReady":  # it was asked for already
                return self.session.order(order.url)
            self.log.order_made("")
            raise


def identifier(name: str) -> dict[str, str]:
    """As newOrder wants it (RFC 8555 section 7.1.3, RFC 8738 for addresses)."""
    try:
        return {"type": "ip", "value": str(ipaddress.ip_address(name))}
    except ValueError:
        return {"type": "dns", "value": name}


def is_account_gone(problem: Problem, context: Context) -> bool:
    """Whether a refusal is about the account and not about the order."""
    return classify(problem, context).cause == "account_gone"


_EXTRAS = {"profile": "the profile that was chosen", "replaces": "to take this order as a replacement"}


def _refused_extra(problem: Problem, extras: dict[str, Any]) -> str:
    """Which wish an order can be repeated without: a second `replaces` answers 409, an unknown one malformed, and one
    for other names a fault of the server (Pebble)."""
    if "profile" in extras and problem.kind == "invalidProfile":
        return "profile"
    if "replaces" in extras and (
        problem.status == 409 or problem.kind in {"malformed", "unauthorized", "alreadyReplaced", "serverInternal"}
    ):
        return "replaces"
    return ""
