"""The wire to an authority: signed requests, nonces, time-outs and patience. One object per job: it is not thread-safe.
May import: agent.acme.pace|problems, agent.nginx.guard, acme, josepy, requests."""

from __future__ import annotations

import json
import logging
import re
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from acme import client, errors, jws
from josepy.jwa import ES256
from josepy.jwk import JWK

from agent.acme.pace import Throttle, wait
from agent.acme.problems import NotAnAuthority, ProblemReply, Unreached, read_reply, retry_after
from agent.nginx.guard import Guard

# They write whole requests, with signatures, at DEBUG.
for _name in ("acme", "urllib3", "requests"):
    logging.getLogger(_name).setLevel(logging.INFO)

NONCE_TRIES = 13  # an authority that refuses half of all nonces still fails less than one request in 8000
CONNECT_SECONDS, READ_SECONDS = 10.0, 30.0
_CONNECT_TRIES, _BUSY_TRIES = 3, 4
_BUSY_SECONDS = 30.0  # a longer Retry-After ends the job, which is then tried again at that moment
_MAX_BYTES = 1 << 20
_CLOCK = re.compile(r"certificate (has expired|is not yet valid)")
_NOISE = re.compile(r"<[^>]*object at 0x[^>]*>: |\w+\(host=[^)]*\): |\[SSL: \w+\] | \(_ssl\.c:\d+\)")
_SYSTEM_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")


@dataclass(frozen=True)
class Way:
    """How an authority is reached. `ca_file` says who may sign its TLS certificate; None: who the machine trusts. To be
    closed when the job is done: it knows every connection that was opened on it."""

    ca_file: Path | None
    user_agent: str
    throttle: Throttle
    is_test: bool = False
    opened: list[requests.Session] = field(default_factory=list, compare=False)

    def close(self) -> None:
        """Ends the connections of this job."""
        for session in self.opened:
            session.close()


class Net(client.ClientNetwork):
    """The requests of one job. Raises ProblemReply, NotAnAuthority, Unreached and what the guard raises."""

    def __init__(self, way: Way, guard: Guard, key: JWK | None = None, alg: Any = ES256) -> None:
        super().__init__(key, alg=alg, verify_ssl=_trusted(way.ca_file), user_agent=way.user_agent)  # type: ignore[arg-type] # requests takes a path too
        self.session.trust_env = not way.is_test
        way.opened.append(self.session)
        self.kid = ""
        self._way, self._guard = way, guard

    def fetch(self, url: str) -> requests.Response:
        """GET, without a signature."""
        return self._checked(self._send_patiently("GET", url))

    def send(self, url: str, payload: dict[str, Any] | None, nonce_url: str) -> requests.Response:
        """POST; without a payload it reads (RFC 8555 section 6.3). A refused nonce is replaced by the refusal's own."""
        body = b"" if payload is None else json.dumps(payload).encode()
        for _ in range(NONCE_TRIES - 1):
            try:
                return self._post_signed(url, body, nonce_url)
            except ProblemReply as reply:
                if reply.problem.kind != "badNonce":
                    raise
        return self._post_signed(url, body, nonce_url)

    def _post_signed(self, url: str, body: bytes, nonce_url: str) -> requests.Response:
        response = self._send_patiently("POST", url, body, nonce_url)
        return self._checked(response)

    def _send_patiently(self, method: str, url: str, body: bytes = b"", nonce_url: str = "") -> requests.Response:
        """Asks again, a little later, when the authority says that it is busy."""
        for busy in range(_BUSY_TRIES):
            data = self._sign(url, body, nonce_url) if method == "POST" else None
            response = self._send_request(method, url, data=data)
            self._keep_nonce(response)
            delay = _busy_delay(response, busy)
            if delay is None or busy == _BUSY_TRIES - 1 or delay > self._guard.remaining():
                break
            wait(self._guard, delay)
        return response

    def _sign(self, url: str, body: bytes, nonce_url: str) -> str:
        nonce = self._get_nonce(url, nonce_url)
        if self.key is None:
            raise errors.Error("a request without a key cannot be signed")
        signed = jws.JWS.sign(body, self.key, self.alg, nonce, url, self.kid or None)  # type: ignore[arg-type] # nonces are bytes
        return str(signed.json_dumps())

    def _keep_nonce(self, response: requests.Response) -> None:
        """That of a refusal too. What was kept before is dropped with a refused nonce: it may be just as old."""
        if response.status_code == 400:
            self._nonces.clear()
        if self.REPLAY_NONCE_HEADER in response.headers:
            try:
                self._add_nonce(response)
            except errors.BadNonce as error:
                raise NotAnAuthority(f"{response.url} sent a nonce that is none.") from error

    def _checked(self, response: requests.Response) -> requests.Response:
        if response.is_redirect:
            raise NotAnAuthority(f"{response.url} answers with a redirect.")
        return self._check_response(response)

    @classmethod
    def _check_response(cls, response: requests.Response, content_type: str | None = None) -> requests.Response:
        """The library's own loses Retry-After, and makes every 409 an account."""
        if not response.ok:
            raise ProblemReply(read_reply(response.status_code, response.content, response.headers, datetime.now(UTC)))
        return response

    def _send_request(self, method: str, url: str, *args: Any, **kwargs: Any) -> requests.Response:
        """One request, at most 1 MiB of answer. A lost connection is tried again: nothing here is done twice by it."""
        if not url.startswith("https://") and not self._way.is_test:
            raise NotAnAuthority(f"{url[:200]} is not an https address.")
        headers = {"User-Agent": self.user_agent, "Content-Type": self.JOSE_CONTENT_TYPE}
        for attempt in range(_CONNECT_TRIES):
            wait(self._guard, self._way.throttle.request())
            read = max(1.0, min(READ_SECONDS, self._guard.remaining()))
            try:
                return self._read(
                    self.session.request(
                        method,
                        url,
                        data=kwargs.get("data"),
                        headers=headers,
                        verify=self.verify_ssl,
                        timeout=(min(CONNECT_SECONDS, read), read),
                        allow_redirects=False,
                        stream=True,
                    )
                )
            except requests.exceptions.RequestException as error:
                if attempt == _CONNECT_TRIES - 1 or not _is_lost(error):
                    raise _unreached(url, error) from error
                wait(self._guard, 0.3 * (attempt + 1))
        raise AssertionError("the loop returns or raises")

    def _read(self, response: requests.Response) -> requests.Response:
        """Reads the body, so that the connection can be used again."""
        body = b""
        for chunk in response.iter_content(65536):
            body += chunk
            if len(body) > _MAX_BYTES:
                response.close()
                raise NotAnAuthority(f"{response.url} sent more than 1 MiB.")
        response._content = body  # noqa: SLF001 - requests has no public way to read with a limit
        response.encoding = "utf-8"
        return response


def _busy_delay(response: requests.Response, busy: int) -> float | None:
    """Seconds to wait before the same request; None when it is not of use."""
    if response.status_code not in {429, 503}:
        return None
    delay = retry_after(response.headers, datetime.now(UTC))
    if delay is None:
        return None if response.status_code == 429 else 0.5 * 2**busy
    return delay if delay <= _BUSY_SECONDS else None


def _is_lost(error: requests.exceptions.RequestException) -> bool:
    """Whether the connection was refused or ended too early, which a moment later may be otherwise."""
    lost = (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError)
    final = (requests.exceptions.SSLError, requests.exceptions.Timeout, requests.exceptions.ProxyError)
    return isinstance(error, lost) and not isinstance(error, final)


def _unreached(url: str, error: requests.exceptions.RequestException) -> Unreached:
    """The innermost reason, without the names of classes and pools that requests puts around it."""
    reason: BaseException = error
    while True:
        inner = getattr(reason, "reason", None) or next((a for a in reason.args if isinstance(a, BaseException)), None)
        if not isinstance(inner, BaseException):
            break
        reason = inner
    text = _NOISE.sub("", str(reason)).strip()
    if isinstance(error, requests.exceptions.Timeout):
        text = "no answer in time"
    host = urlsplit(url).netloc
    wrong_clock = isinstance(error, requests.exceptions.SSLError) and bool(_CLOCK.search(str(reason)))
    return Unreached(f"{host}: {text}", wrong_clock=wrong_clock)


def _trusted(ca_file: Path | None) -> str | bool:
    """A file of certificates, or True for those that come with requests."""
    if ca_file is not None:
        return str(ca_file)
    known = [ssl.get_default_verify_paths().cafile or "", *_SYSTEM_BUNDLES]
    return next((path for path in known if path and Path(path).is_file()), True)
