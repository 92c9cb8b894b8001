"""From what went wrong to what a person is told: a cause, its words, the names at fault, when it is tried again.
May import: agent.acme.causes|problems|rules|spec, agent.dns.spec, agent.errors, agent.output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from agent.acme.causes import CAUSES, list_names, say
from agent.acme.problems import MAX_DETAIL, BrokenOrder, NotAnAuthority, Problem, ProblemReply, Unreached
from agent.acme.rules import cause_of, named_in
from agent.acme.spec import AcmeFailure, Failure
from agent.dns.spec import DnsFailure
from agent.errors import AgentError
from agent.output import clean


@dataclass(frozen=True)
class Context:
    """Who was asked for what. `label` is the authority's; `challenge` is "http-01" or "dns-01"."""

    label: str
    directory_url: str
    names: tuple[str, ...] = ()
    challenge: str = "http-01"


class BadBinding(Exception):
    """The values of external account binding cannot be right; the text says why."""


class BadCertificate(Exception):
    """What the authority sent is not what was ordered; the text says why."""


def failure(
    cause: str,
    context: Context,
    *,
    names: Sequence[str] = (),
    detail: str = "",
    retry_at: datetime | None = None,
    url: str = "",
    words: Mapping[str, str] | None = None,
) -> Failure:
    """A failure of a known cause; `words` fill its sentence (agent.acme.causes.say). `names`: all of them if empty."""
    at_fault = tuple(names or context.names)
    sentence, next_step = say(
        cause,
        name=list_names(at_fault),
        authority=context.label,
        when=_when(retry_at),
        **{"detail": _short(detail), **(words or {})},
    )
    return Failure(
        cause=cause,
        sentence=sentence,
        next_step=next_step,
        detail=detail[:MAX_DETAIL],
        retry_at=retry_at,
        url=url,
        names=tuple(names),
        directory_url=context.directory_url,
    )


def classify(error: BaseException | Problem, context: Context) -> Failure:
    """The failure that an exception or a problem document is. Never fails: what is unknown becomes "other"."""
    if isinstance(error, Problem):
        return _of_problem(error, context)
    if isinstance(error, ProblemReply):
        return _of_problem(error.problem, context)
    if isinstance(error, AcmeFailure):
        return error.failure
    if isinstance(error, DnsFailure):
        return _of_dns(error, context)
    cause = next((cause for kind, cause in _CAUSES.items() if isinstance(error, kind)), "other")
    if isinstance(error, Unreached) and error.wrong_clock:
        cause = "clock"
    text = clean(error.message if isinstance(error, AgentError) else str(error))
    words = dict[str, str]()
    if isinstance(error, OSError):
        words = {"path": str(error.filename or ""), "detail": _short(error.strerror or text)}
    return failure(cause, context, detail=text, words=words)


def classify_names(problems: Sequence[tuple[str, Problem]], context: Context, *, checked: bool = True) -> Failure:
    """The failure of several names: the words are of the first one's cause, the names are all of them.

    `checked`: the authority looked at the names. Otherwise it refused before, so that no web server is to blame.
    """
    name, first = problems[0]
    challenge = context.challenge if checked else ""
    told = _of_problem(replace(first, names=(name,)), context, challenge)
    alike = tuple(n for n, p in problems if cause_of(p, challenge) == told.cause)
    detail = "\n".join(f"{name}: {problem.detail}" for name, problem in problems)
    retry_at = max((p.retry_at for _, p in problems if p.retry_at is not None), default=None)
    said = failure(told.cause, context, names=alike, detail=detail, retry_at=retry_at, url=told.url)
    return replace(said, names=tuple(name for name, _ in problems if name))


_CAUSES: dict[type[BaseException], str] = {
    Unreached: "authority_unreachable",
    NotAnAuthority: "strange_answer",
    BrokenOrder: "strange_answer",
    BadBinding: "external_account",
    BadCertificate: "bad_certificate",
    OSError: "storage",
}


def _of_problem(problem: Problem, context: Context, challenge: str = "") -> Failure:
    """Parts decide when the whole says nothing: a compound refusal names each name's own reason."""
    parts = [part for part in problem.parts if part.kind]
    cause = cause_of(problem, challenge)
    if parts and cause in {"other", "name_refused", "private_address"}:
        return classify_names([(part.names[0] if part.names else "", part) for part in parts], context, checked=False)
    names = named_in(problem)
    return failure(cause, context, names=names, detail=problem.detail, retry_at=problem.retry_at, url=problem.url)


def _of_dns(error: DnsFailure, context: Context) -> Failure:
    """That engine knows better than a table what its provider said."""
    known = failure(error.cause if error.cause in CAUSES else "other", context, detail=error.detail)
    return replace(known, sentence=error.message, next_step=error.next_step or known.next_step)


def _when(moment: datetime | None) -> str:
    if moment is None:
        return ""
    moment = moment.astimezone(UTC)
    return f"on {moment.day} {moment:%B} at {moment:%H:%M} UTC"


def _short(detail: str) -> str:
    """The first line as the end of a sentence."""
    line = detail.partition("\n")[0].strip()
    line = line if len(line) <= 300 else line[:297] + "…"
    return line if not line or line[-1] in ".!?…" else f"{line}."
