"""Whether CAA records allow the authority (RFC 8659, and RFC 8657 for its parameters).
May import: agent.acme.{causes,spec}, agent.acme.check.{lookup,names,surroundings}, dnspython."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from dns.rdtypes.ANY.CAA import CAA

from agent.acme.causes import say
from agent.acme.check.lookup import Lookup, State, parents
from agent.acme.check.names import base_of
from agent.acme.check.surroundings import Question
from agent.acme.spec import Finding, Level
from agent.output import clean

CRITICAL = 128
_KNOWN_TAGS = {"issue", "issuewild", "iodef", "issuemail", "issuevmc", "contactemail", "contactphone"}
# For directories that do not say it themselves.
_IDENTITIES = {"letsencrypt.org": "letsencrypt.org", "pki.goog": "pki.goog", "zerossl.com": "sectigo.com"}


@dataclass(frozen=True)
class Policy:
    """The CAA records that decide for a name, and the name at which they were found; no records allow everybody."""

    domain: str
    records: tuple[CAA, ...] = ()
    state: State = State.NO_DATA

    def deciding(self, wildcard: bool) -> list[CAA]:
        """Those that name authorities: `issuewild` goes before `issue` for wildcards (RFC 8659 section 4.3)."""
        by_tag = {tag: [record for record in self.records if _tag(record) == tag] for tag in ("issue", "issuewild")}
        return (wildcard and by_tag["issuewild"]) or by_tag["issue"]


@dataclass(frozen=True)
class Permission:
    """One `issue` value: an authority, "" for nobody, and its parameters."""

    authority: str
    parameters: dict[str, str]


def find_policy(name: str, lookup: Lookup) -> Policy:
    """The records at the name or at its closest parent that has some; CNAME records are followed at each of them."""
    for domain in parents(base_of(name)):
        answer = lookup.ask(domain, "CAA")
        if answer.state is State.FOUND:
            return Policy(domain, tuple(record for record in answer.records if isinstance(record, CAA)), State.FOUND)
        if not answer.is_certain:
            return Policy(domain, state=answer.state)
    return Policy(base_of(name))


def judge(name: str, policy: Policy, question: Question, identities: Sequence[str]) -> Finding:
    """What the records mean for this name. `identities` are those of the directory, empty when it gave none."""
    if policy.state in {State.BROKEN, State.BROKEN_DNSSEC, State.SILENT}:
        return _unknown(name, policy)
    if critical := [record for record in policy.records if record.flags & CRITICAL and _tag(record) not in _KNOWN_TAGS]:
        sentence = f"A CAA record at {policy.domain} demands what no authority knows ({clean(_tag(critical[0]))})."
        return _forbidden(name, sentence, "Remove this record.")
    deciding = policy.deciding(name.startswith("*."))
    if not deciding:
        return Finding(Level.OK, "caa", f"No CAA record stands in the way of {name}.", name)
    known = {identity.lower() for identity in identities} or _usual_identities(question)
    if not known:
        sentence = f"A CAA record at {policy.domain} allows {_list(deciding)}. Whether that is "
        return Finding(Level.INFO, "caa", f"{sentence}{question.authority.label} is not known.", name)
    return _weigh(name, policy, question, [_read(record) for record in deciding], known)


def _weigh(name: str, policy: Policy, question: Question, allowed: list[Permission], known: set[str]) -> Finding:
    label, domain, method = question.authority.label, policy.domain, question.spec.challenge.value
    ours = [permission for permission in allowed if permission.authority in known]
    record = f'{domain} CAA 0 {"issuewild" if name.startswith("*.") else "issue"} "{min(known)}"'
    if not ours:
        others = ", ".join(sorted({clean(p.authority) for p in allowed if p.authority})) or "nobody"
        sentence = f"A CAA record at {domain} allows only {others} to issue for {name}, and not {label}."
        return _forbidden(name, sentence, say("caa_forbids", authority=label)[1], record)
    ours = [p for p in ours if method in _methods(p, method)]
    if not ours:
        sentence = f"A CAA record at {domain} allows {label} for {name}, but not by the check {method}."
        return _forbidden(name, sentence, f'Choose the other check, or add {method} to "validationmethods".', record)
    accounts = {p.parameters.get("accounturi", "") for p in ours}
    account = question.here.authorities.account_url(question.authority)
    if "" in accounts or account in accounts:
        return Finding(Level.OK, "caa", f"CAA records allow {label} to issue for {name}.", name)
    sentence = f"A CAA record at {domain} allows {label} for {name}, but only with another account"
    sentence += "." if account else ", and this agent has none there yet."
    return _forbidden(name, sentence, 'Remove "accounturi" from the record, or add a record for this agent.', record)


def _unknown(name: str, policy: Policy) -> Finding:
    if policy.state is State.SILENT:
        sentence = f"The name servers of {policy.domain} did not say in time whether a CAA record stands in the way."
        return Finding(Level.WARNING, "caa", sentence, name, say("dns_broken", name=name)[1], cause="dns_broken")
    why = "their signatures (DNSSEC) are wrong" if policy.state is State.BROKEN_DNSSEC else "they fail"
    sentence = f"The name servers of {policy.domain} do not answer questions for CAA records: {why}."
    sentence += " Authorities refuse then."
    return Finding(Level.ERROR, "caa", sentence, name, say("dns_broken", name=name)[1], cause="dns_broken")


def _forbidden(name: str, sentence: str, next_step: str, record: str = "") -> Finding:
    return Finding(Level.ERROR, "caa", sentence, name, next_step, record, "caa_forbids")


def _usual_identities(question: Question) -> set[str]:
    host = urlsplit(question.authority.directory_url).hostname or ""
    return {identity for domain, identity in _IDENTITIES.items() if host == domain or host.endswith(f".{domain}")}


def _tag(record: CAA) -> str:
    return bytes(record.tag).decode(errors="replace").lower()


def _read(record: CAA) -> Permission:
    """`authority; name=value; …` (RFC 8659 section 4.2). What is malformed allows nobody."""
    authority, *parts = bytes(record.value).decode(errors="replace").split(";")
    pairs = [part.strip().partition("=") for part in parts if part.strip()]
    return Permission(authority.strip().lower(), {name.strip().lower(): value.strip() for name, _, value in pairs})


def _methods(permission: Permission, default: str) -> list[str]:
    return [method.strip() for method in permission.parameters.get("validationmethods", default).split(",")]


def _list(records: Sequence[CAA]) -> str:
    names = sorted({clean(_read(record).authority) for record in records if _read(record).authority})
    return ", ".join(names) or "nobody"
