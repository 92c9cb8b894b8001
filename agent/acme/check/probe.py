"""Asks for a token as an authority does: by the address, with the name, through redirects, and no further than allowed.
May import: agent.acme.check.surroundings, agent.output."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import SplitResult, urljoin, urlsplit

from agent.acme.check.surroundings import Address, Deadline
from agent.output import clean

MOST_REDIRECTS = 10
REDIRECTS = {301, 302, 307, 308}
MOST_BYTES = 512  # Let's Encrypt reads 128
ONE_REQUEST = 2.0  # seconds


class Result(Enum):
    """How a probe ended."""

    SEEN = "seen"
    OTHER = "other"  # something answers, and it is not the token
    REFUSED = "refused"
    SILENT = "silent"  # no connection or no answer in time
    LOOP = "loop"
    BAD_REDIRECT = "bad redirect"
    FORBIDDEN = "forbidden"  # a redirect leads to where we do not go


@dataclass(frozen=True)
class Seen:
    """What a probe saw. `status` is the last answer's, `location` the last redirect's, cleaned for people to read."""

    result: Result
    status: int = 0
    location: str = ""
    server: str = ""
    body: str = ""
    redirects: int = 0

    @property
    def is_cloudflare(self) -> bool:
        """Whether Cloudflare's proxy answered."""
        return self.server.lower() == "cloudflare"


@dataclass(frozen=True)
class Token:
    """What stands in the webroot during the check: its path in URLs, and what is in it."""

    url_path: str
    text: str


@dataclass(frozen=True)
class Way:
    """How the probe finds its way: where a host name leads (None: nowhere that is allowed), which ports are fine, and
    to which port a connection for a URL's port really goes."""

    find: Callable[[str], Address | None]
    ports: frozenset[int]
    deadline: Deadline
    real_port: Callable[[int], int] = field(default=lambda port: port)


def ask(url: str, token: Token, way: Way) -> Seen:
    """Follows at most ten redirects (the rules of Let's Encrypt: 301, 302, 307 or 308, to http or https, to ports 80
    and 443, never twice to the same URL; certificates are not looked at)."""
    asked: set[str] = set()
    seen = Seen(Result.SILENT)
    while len(asked) <= MOST_REDIRECTS:
        parts = urlsplit(url)
        problem = _refuse(url, parts, way, asked)
        if problem is not None:
            return Seen(problem, seen.status, seen.location, seen.server, redirects=len(asked))
        address = way.find((parts.hostname or "").lower())
        if address is None:
            return Seen(Result.FORBIDDEN, seen.status, seen.location, seen.server, redirects=len(asked))
        asked.add(url)
        seen, location = _get(parts, address, token, way, len(asked) - 1)
        if not location:
            return seen
        try:
            url = urljoin(url, location)
            urlsplit(url).port  # noqa: B018 - raises for a port that is none
        except ValueError:
            return Seen(Result.BAD_REDIRECT, seen.status, seen.location, seen.server, redirects=len(asked))
    return Seen(Result.LOOP, seen.status, seen.location, seen.server, redirects=len(asked))


def _refuse(url: str, parts: SplitResult, way: Way, asked: set[str]) -> Result | None:
    if url in asked:
        return Result.LOOP
    if parts.scheme not in {"http", "https"} or not parts.hostname or _port(parts) not in way.ports:
        return Result.BAD_REDIRECT
    return None


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def _get(parts: SplitResult, address: Address, token: Token, way: Way, redirects: int) -> tuple[Seen, str]:
    """One request on a connection of its own; what was seen, and where it redirects to or ""."""
    patience = way.deadline.remaining(ONE_REQUEST)
    connection = http.client.HTTPConnection(str(address), way.real_port(_port(parts)), timeout=patience)
    try:
        connection.connect()
        if parts.scheme == "https":
            connection.sock = _context().wrap_socket(connection.sock, server_hostname=parts.hostname)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", path, headers={"Host": parts.netloc, "User-Agent": "Waypost", "Connection": "close"})
        # Closed by itself: an answer that is not read to its end keeps the socket open behind its connection's back.
        with connection.getresponse() as answer:
            location = answer.getheader("Location", "") if answer.status in REDIRECTS else ""
            body = b"" if location else answer.read(MOST_BYTES)
    except ConnectionRefusedError:
        return Seen(Result.REFUSED, redirects=redirects), ""
    except TimeoutError:
        return Seen(Result.SILENT, redirects=redirects), ""
    except (OSError, ValueError, http.client.HTTPException) as error:
        # Unreachable networks, resets, TLS that is none, headers that are none.
        return Seen(_kind_of(error), body=clean(str(error))[:120], redirects=redirects), ""
    finally:
        connection.close()
    is_token = answer.status == 200 and body.decode(errors="replace").strip() == token.text
    seen = Seen(
        Result.SEEN if is_token else Result.OTHER,
        answer.status,
        clean(location)[:200],
        clean(answer.getheader("Server", ""))[:60],
        clean(body)[:120],
        redirects,
    )
    return seen, location


def _kind_of(error: Exception) -> Result:
    """An answer that is no HTTP or no TLS still shows that somebody is there."""
    is_somebody = isinstance(error, (http.client.HTTPException, ssl.SSLError, ConnectionResetError, ValueError))
    return Result.OTHER if is_somebody else Result.SILENT


def _context() -> ssl.SSLContext:
    """TLS from 1.2 on, whoever shows whichever certificate: there may be none yet."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
