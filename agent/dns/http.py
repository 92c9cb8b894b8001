"""Speaks to HTTP APIs: time-outs, retries, verified TLS, no redirects, no secrets in what is told. Imported late.
May import: agent.dns.spec, agent.dns.addresses, agent.dns.patience, agent.output, requests, urllib3."""

from __future__ import annotations

import base64
import email.utils
import json
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from agent.dns.addresses import refuse_address
from agent.dns.patience import pause
from agent.dns.spec import DnsFailure, Guard
from agent.output import clean

CONNECT_SECONDS = 10.0
READ_SECONDS = 30.0
MAX_TRIES = 5
MAX_DIALS = 3
MAX_BYTES = 4 << 20
_MAX_DETAIL = 1000


@dataclass(frozen=True)
class Answer:
    """What an API said. `detail` is its text on one line, short and without secrets."""

    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str]
    detail: str

    @property
    def ok(self) -> bool:
        """2xx."""
        return 200 <= self.status < 300

    @property
    def data(self) -> Any:
        """The body as JSON; None when there is none. Raises ValueError for something else."""
        return json.loads(self.body) if self.body.strip() else None


class _NoAnswer(DnsFailure):
    """Nobody was reached."""


class _PlainConnection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return look_at(super()._new_conn(), plain=True)


class _TlsConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return look_at(super()._new_conn(), plain=False)


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class GuardedAdapter(HTTPAdapter):
    """Looks at the address of every connection before anything is sent. A proxy of the machine decides for itself."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """As the base class does it, with connections that look first."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}


def look_at(sock: socket.socket, *, plain: bool) -> socket.socket:
    """The connection. When its other end is none that the agent may speak to, it is closed and DnsFailure raised."""
    try:
        refuse_address(str(sock.getpeername()[0]), plain=plain)
    except DnsFailure:
        sock.close()
        raise
    return sock


class Api:
    """One API. Not thread-safe: every job has its own."""

    def __init__(
        self, label: str, base_url: str, headers: Mapping[str, str], secrets: tuple[str, ...], guard: Guard
    ) -> None:
        """`secrets` are blanked in what is told. Raises DnsFailure when a header cannot hold its value."""
        if not all(value.isascii() and value.isprintable() for value in headers.values()):
            raise DnsFailure("dns_credential", f"{label}: a value has characters that its API cannot take.")
        self._label = label
        self.base_url = base_url.rstrip("/")
        self._headers = dict(headers)
        self._secrets = sorted({secret for secret in secrets if len(secret) >= 4}, key=len, reverse=True)
        self._guard = guard
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, GuardedAdapter())

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        data: object = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        busy: frozenset[int] = frozenset(),
    ) -> Answer:
        """Sends JSON (`data`) or bytes (`body`) and returns the answer, whatever its status.

        429, 5xx and the statuses in `busy` are tried again after Retry-After, else after 1, 2, 4, 8 s; no answer
        at all twice, because what we send may be done twice. Raises DnsFailure when nobody answers, and what the
        guard raises.
        """
        if data is not None:
            body, headers = json.dumps(data).encode(), {"Content-Type": "application/json", **(headers or {})}
        for attempt in range(MAX_TRIES):
            answer = self._dial(method, path, params, body, headers)
            again = answer.status == 429 or answer.status >= 500 or answer.status in busy
            wait = _retry_after(answer.headers, 2.0**attempt)
            if not again or attempt == MAX_TRIES - 1 or wait > min(120.0, self._guard.remaining()):
                break
            pause(self._guard, wait)
        return answer

    def _dial(self, *request: Any) -> Answer:
        for attempt in range(MAX_DIALS - 1):
            try:
                return self._send(*request)
            except _NoAnswer:
                pause(self._guard, 0.5 * 2**attempt)
        return self._send(*request)

    def _send(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        body: bytes | None,
        headers: Mapping[str, str] | None,
    ) -> Answer:
        self._guard.check()
        try:
            with self._session.request(
                method,
                self.base_url + path,
                params=params,
                data=body,
                headers={"Accept": "application/json", **self._headers, **(headers or {})},
                auth=_as_it_is,
                timeout=(CONNECT_SECONDS, min(READ_SECONDS, max(1.0, self._guard.remaining()))),
                allow_redirects=False,
                stream=True,
            ) as response:
                return self._answer(response)
        except (requests.RequestException, OSError) as error:
            reason = self._scrub(str(error) if not isinstance(error, requests.Timeout) else "no answer in time")
            sentence = f"{self._label} cannot be reached from this machine."
            next_step = "Look whether this machine resolves names and may open connections to port 443."
            raise _NoAnswer("dns_provider", sentence, next_step, reason) from None

    def _answer(self, response: requests.Response) -> Answer:
        if 300 <= response.status_code < 400:
            sentence = f"{self._label} sends the agent to another address, where it does not go."
            raise DnsFailure("dns_provider", sentence, "Enter the address that it leads to.")
        body = b""
        for chunk in response.iter_content(65536):
            body += chunk
            if len(body) > MAX_BYTES:
                raise DnsFailure("dns_provider", f"{self._label} gave an answer that is too long.")
        return Answer(response.status_code, body, response.headers, self._scrub(body.decode("utf-8", "replace")))

    def _scrub(self, text: str) -> str:
        for secret in self._secrets:
            for spelling in (secret, base64.b64encode(secret.encode()).decode(), json.dumps(secret)[1:-1]):
                text = text.replace(spelling, "(secret)")
        return clean(text)[:_MAX_DETAIL]


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keeps requests from taking a password out of ~/.netrc in place of ours."""
    return request


def _retry_after(headers: Mapping[str, str], default: float) -> float:
    """Seconds; the header has seconds or a date (RFC 9110 section 10.2.3)."""
    text = headers.get("Retry-After", "")
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError):
        return default
