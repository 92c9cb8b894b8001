"""What an authority answers when it refuses (RFC 7807, RFC 8555 section 6.7), and when it wants to be asked again.
May import: agent.output."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from agent.output import clean

MAX_DETAIL = 4096
_LONGEST = timedelta(days=3650)
_RETRY_AFTER = re.compile(r"retry after (\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)(?: UTC|Z)?", re.IGNORECASE)
_URL = re.compile(r"https://[^\s<>\"'|]+")


@dataclass(frozen=True)
class Problem:
    """One problem document. `kind` is the last word of its type, "" for an answer that is none.

    `names` are the identifiers it is about; `retry_at` is set when the authority said when.
    """

    kind: str
    detail: str
    status: int = 0
    names: tuple[str, ...] = ()
    parts: tuple[Problem, ...] = ()
    retry_at: datetime | None = None
    url: str = ""


class ProblemReply(Exception):
    """A request that the authority refused."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.kind or problem.status}: {problem.detail}")
        self.problem = problem


class NotAnAuthority(Exception):
    """Something answered at this address, but not by ACME; the text says what."""


class Unreached(Exception):
    """The authority did not answer; the text says why. `wrong_clock`: its certificate is not of our time."""

    def __init__(self, text: str, *, wrong_clock: bool = False) -> None:
        super().__init__(text)
        self.wrong_clock = wrong_clock


class BrokenOrder(Exception):
    """The authority's answer lacks what RFC 8555 promises; the text says what."""


def read_reply(status: int, body: bytes, headers: Mapping[str, str], now: datetime) -> Problem:
    """The problem in an answer that is not a success. Never fails: other answers become a problem without kind."""
    retry = retry_after(headers, now)
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict) or not isinstance(document.get("type"), str):
        text = clean(re.sub(rb"<[^>]*>", b" ", body[:2000]))[:200]
        return Problem("", f"HTTP {status} {text}".strip(), status, retry_at=_at(retry, now))
    return read_problem(document, status, _at(retry, now))


def read_problem(document: object, status: int = 0, retry_at: datetime | None = None) -> Problem:
    """A problem document as it stands in an answer, a challenge or an order. Never fails."""
    known = document if isinstance(document, dict) else {}
    detail = clean(_text(known.get("detail")) or _text(known.get("title")))[:MAX_DETAIL]
    parts = known.get("subproblems")
    parts = tuple(read_problem(part) for part in parts[:200]) if isinstance(parts, list) else ()
    identifier = known.get("identifier")
    name = _text(identifier.get("value")) if isinstance(identifier, dict) else ""
    names = (name,) if name else tuple(dict.fromkeys(name for part in parts for name in part.names))
    return Problem(
        kind=_text(known.get("type")).rpartition(":")[2],
        detail=detail,
        status=status or (known["status"] if isinstance(known.get("status"), int) else 0),
        names=names,
        parts=parts,
        retry_at=retry_at or retry_moment(detail),
        url=_page(known, detail),
    )


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds until the moment of Retry-After (RFC 9110 section 10.2.3): seconds or a date. None without a usable one.

    A date is read against the sender's own clock (its Date header) when it tells it, so that ours may be wrong.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:12]), _LONGEST.total_seconds())
    moment = http_date(text)
    if moment is None:
        return None
    base = http_date(headers.get("Date", "")) or now
    return min(max(0.0, (moment - base).total_seconds()), _LONGEST.total_seconds())


def http_date(text: str) -> datetime | None:
    """An HTTP date as UTC, whatever the machine's time zone is; None for anything else."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def retry_moment(detail: str) -> datetime | None:
    """The moment in "retry after 2026-11-24 14:32:00 UTC", as Let's Encrypt writes it into its limits."""
    match = _RETRY_AFTER.search(detail)
    if match is None:
        return None
    try:
        return datetime.fromisoformat(match[1].replace(" ", "T")).replace(tzinfo=UTC)
    except ValueError:
        return None


def _at(seconds: float | None, now: datetime) -> datetime | None:
    return None if seconds is None else now + timedelta(seconds=seconds)


def _page(document: Mapping[str, object], detail: str) -> str:
    """The page that a person must open: `instance` (RFC 8555 section 7.3.3), or the one in the text."""
    instance = _text(document.get("instance"))
    match = _URL.search(detail)
    found = instance if instance.startswith("https://") else match[0].rstrip(".,;)") if match else ""
    return found[:2000]


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
