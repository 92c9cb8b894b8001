"""A conversation with one authority under one account: directory, registration and orders.
May import: agent.acme.account|failures|net|objects|problems|spec, agent.nginx.guard, acme, josepy."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import josepy.jwk
import requests
from acme import jws
from josepy.jwa import HS256

from agent.acme.account import Account, AccountFiles
from agent.acme.failures import BadBinding
from agent.acme.net import Net, Way
from agent.acme.objects import (
    AuthorizationState,
    ChallengeState,
    Directory,
    OrderState,
    document_of,
    read_authorization,
    read_directory,
    read_order,
)
from agent.acme.problems import BrokenOrder, ProblemReply, retry_after
from agent.acme.spec import Authority
from agent.nginx.guard import Guard

_EAB_KEY = re.compile(r"[A-Za-z0-9_-]+")


def fetch_directory(url: str, way: Way, guard: Guard) -> Directory:
    """Asks for the directory. Raises NotAnAuthority for anything that is none, and what Net raises."""
    return read_directory(url, Net(way, guard).fetch(url))


class Session:
    """Signed requests under one account. Of one job, as its Net."""

    def __init__(self, net: Net, directory: Directory) -> None:
        self.net, self.directory = net, directory

    def post(self, url: str, payload: dict[str, Any] | None = None) -> requests.Response:
        """One signed request; without a payload it reads."""
        return self.net.send(url, payload, self.directory.new_nonce)

    def order(self, url: str) -> tuple[OrderState, float | None]:
        """An order as it is now, and in how many seconds to look again when the authority says so."""
        return _with_delay(self.post(url), lambda document: read_order(url, document))

    def authorization(self, url: str) -> tuple[AuthorizationState, float | None]:
        """One authorization, likewise."""
        return _with_delay(self.post(url), lambda document: read_authorization(url, document))

    def new_order(self, payload: dict[str, Any]) -> OrderState:
        """Orders. Raises ProblemReply when the authority refuses."""
        response = self.post(self.directory.new_order, payload)
        return read_order(_location(response), document_of(response))

    def finalize(self, order: OrderState, csr_der: bytes) -> tuple[OrderState, float | None]:
        """Asks for the certificate of an order whose names are all shown; the order as it is then."""
        response = self.post(order.finalize, {"csr": encode(csr_der)})
        return _with_delay(response, lambda document: read_order(order.url, document))

    def certificate(self, order: OrderState) -> str:
        """The chain, leaf first, as PEM."""
        return self.post(order.certificate).text

    def answer(self, challenge: ChallengeState) -> None:
        """Says that the challenge is in place."""
        self.post(challenge.url, {})

    def key_authorization(self, token: str) -> str:
        """What shows that this account asked (RFC 8555 section 8.1)."""
        if self.net.key is None:
            raise BrokenOrder("there is no account")
        return f"{token}.{encode(self.net.key.thumbprint())}"


class Sessions:
    """Opens conversations: the account is found, or made, when it is needed. Thread-safe."""

    def __init__(self, files: AccountFiles) -> None:
        self._files = files

    def open(self, authority: Authority, directory_url: str, way: Way, guard: Guard) -> Session:
        """A conversation under the account of this directory. Raises what Net raises, BadBinding and OSError."""
        with self._files.lock(directory_url):
            net = Net(way, guard)
            directory = read_directory(directory_url, net.fetch(directory_url))
            account = self._files.load(directory_url) or self._files.make(authority, directory_url)
            session = _under(account, net, directory)
            if not account.url:
                self._register(session, account, authority)
            elif account.email != authority.email:
                self._tell_email(session, account, authority)
        return session

    def reopen(self, session: Session, authority: Authority, way: Way, guard: Guard, *, new_key: bool) -> Session:
        """After the authority lost the account: it is made again, with a new key when the old one is of no use."""
        directory_url = session.directory.url
        with self._files.lock(directory_url):
            account = self._files.load(directory_url)
            if account is None or account.url == session.net.kid:
                if account is None or new_key:
                    account = self._files.make(authority, directory_url)
                else:
                    account = self._files.forget_url(account)
            again = _under(account, Net(way, guard), session.directory)
            if not account.url:
                self._register(again, account, authority)
        return again

    def existing(self, directory_url: str, way: Way, guard: Guard) -> Session | None:
        """A conversation under an account that is there already; None when there is none."""
        account = self._files.load(directory_url)
        if account is None or not account.url:
            return None
        net = Net(way, guard)
        return _under(account, net, read_directory(directory_url, net.fetch(directory_url)))

    def _register(self, session: Session, account: Account, authority: Authority) -> None:
        """newAccount; for a key that is known it answers with the account that exists (RFC 8555 section 7.3)."""
        payload: dict[str, Any] = {"termsOfServiceAgreed": True, **_contact(authority.email)}
        if authority.eab_kid or authority.eab_hmac_key or session.directory.needs_binding:
            payload["externalAccountBinding"] = _binding(session, authority)
        try:
            url = _location(session.post(session.directory.new_account, payload))
        except ProblemReply as reply:
            if "externalAccountBinding" not in payload or reply.problem.kind not in {"unauthorized", "malformed"}:
                raise
            raise BadBinding(reply.problem.detail) from reply
        self._files.save(replace(account, url=url, email=authority.email))
        session.net.kid = url

    def _tell_email(self, session: Session, account: Account, authority: Authority) -> None:
        session.post(account.url, {"contact": _contact(authority.email).get("contact", [])})
        self._files.save(replace(account, email=authority.email))


def encode(data: bytes) -> str:
    """base64url without padding (RFC 8555 section 6.1)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _under(account: Account, net: Net, directory: Directory) -> Session:
    """The same connection, from now on under this account."""
    net.key, net.kid = account.key, account.url
    return Session(net, directory)


def _binding(session: Session, authority: Authority) -> dict[str, Any]:
    """RFC 8555 section 7.3.4. Checked first: to a key that is none the authority answers as to a wrong one."""
    if not authority.eab_kid or not authority.eab_hmac_key:
        raise BadBinding("Key id and HMAC key of external account binding are both needed.")
    text = authority.eab_hmac_key.strip().rstrip("=").replace("+", "-").replace("/", "_")
    try:
        if not _EAB_KEY.fullmatch(text):
            raise BadBinding("The HMAC key of external account binding is not base64url.")
        secret = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise BadBinding("The HMAC key of external account binding is not complete.") from error
    if session.net.key is None:
        raise BrokenOrder("there is no account key")
    public = json.dumps(session.net.key.public_key().to_partial_json()).encode()
    bound = jws.JWS.sign(
        public, josepy.jwk.JWKOct(key=secret), HS256, None, session.directory.new_account, authority.eab_kid.strip()
    )
    made: dict[str, Any] = json.loads(bound.json_dumps())
    return made


def _contact(email: str) -> dict[str, list[str]]:
    return {"contact": [f"mailto:{email}"]} if email else {}


def _with_delay(response: requests.Response, read: Callable[[dict[str, Any]], Any]) -> tuple[Any, float | None]:
    return read(document_of(response)), retry_after(response.headers, datetime.now(UTC))


def _location(response: requests.Response) -> str:
    location = response.headers.get("Location", "")
    if not location:
        raise BrokenOrder("the answer names no address")
    return location
