"""Whether the names can be on one certificate at all, before anybody is asked.
May import: agent.acme.spec, agent.acme.check.{letters,suffixes,surroundings}."""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Iterator

from agent.acme.check.letters import describe_mixture, is_genuine
from agent.acme.check.suffixes import is_public_suffix, public_suffix
from agent.acme.check.surroundings import Address, Question
from agent.acme.spec import Challenge, Finding, Level

MOST_NAMES, MOST_NAMES_OF_NEW_PROFILES = 100, 25
NEW_PROFILES = ("tlsserver", "shortlived")  # Let's Encrypt's
PROFILE_OF_ADDRESSES = "shortlived"
MOST_LABELS = 10  # Let's Encrypt's policy
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
# RFC 6761, RFC 6762, RFC 7686, RFC 8375, ICANN's resolution on .internal, and what home routers use.
_PRIVATE_ENDINGS = {
    *("alt", "arpa", "corp", "example", "home", "internal", "intranet", "invalid"),
    *("lan", "local", "localdomain", "localhost", "onion", "private", "test"),
}


def check_names(question: Question) -> list[Finding]:
    """Errors for what can never work; one OK when there is none. A finding of one name has it as its subject."""
    names = question.spec.names
    found = [*_of_all(question), *(finding for name in dict.fromkeys(names) for finding in _of_one(name, question))]
    if any(finding.level is Level.ERROR for finding in found):
        return found
    words = "The name is" if len(names) == 1 else f"All {len(names)} names are"
    return [Finding(Level.OK, "names", f"{words} fine."), *found]


def as_address(name: str) -> Address | None:
    """The IP address that a name is; None for a real name."""
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def base_of(name: str) -> str:
    """A wildcard's name without the star: where its DNS records are."""
    return name.removeprefix("*.")


def _error(name: str, sentence: str, next_step: str, cause: str = "name_refused") -> Finding:
    return Finding(Level.ERROR, "names", sentence, name, next_step, cause=cause)


def _of_all(question: Question) -> Iterator[Finding]:
    names, authority = question.spec.names, question.authority.label
    if not names:
        yield _error("", "There is no name to certify.", "Write at least one name.")
    for name, times in Counter(names).items():
        if times > 1:
            yield _error(name, f"{name} is there {times} times.", "Write it once.")
    most = MOST_NAMES_OF_NEW_PROFILES if question.spec.profile in NEW_PROFILES else MOST_NAMES
    if len(names) > most:
        words = f" with the profile {question.spec.profile}" if most < MOST_NAMES else ""
        sentence = f"One certificate of {authority} takes at most {most} names{words}; these are {len(names)}."
        yield _error("", sentence, "Make several certificates, or use a wildcard and the DNS check.")
    wildcards = {base_of(name) for name in names if name.startswith("*.")}
    for name in names:
        if not name.startswith("*.") and name.partition(".")[2] in wildcards:
            wildcard = f"*.{name.partition('.')[2]}"
            yield _error(name, f"{wildcard} covers {name} already, and {authority} refuses both.", f"Remove {name}.")


def _of_one(name: str, question: Question) -> Iterator[Finding]:
    address = as_address(name)
    if address is not None:
        yield from _of_address(name, address, question)
        return
    finding = _shape(name) or _wildcard(name, question) or (question.is_public and _publicness(name, question))
    if finding:
        yield finding
    elif mixture := describe_mixture(name):
        sentence = f"{mixture} It could pass for another name, and people see it as punycode."
        yield Finding(Level.WARNING, "names", sentence, name, "Request it only when you know this name.")


def _of_address(name: str, address: Address, question: Question) -> Iterator[Finding]:
    if question.spec.challenge is Challenge.DNS_01:
        yield _error(name, f"{name} is an IP address, which DNS cannot prove.", "Use the HTTP check for it.")
    elif str(address) != name:
        yield _error(name, f"{name} is not the usual spelling of this address.", f"Write {address}.")
    elif question.is_public and not address.is_global:
        sentence = f"{name} is an address of a private network: no public authority certifies it."
        yield _error(name, sentence, "Use a name, or your own authority.", "private_address")
    elif question.is_lets_encrypt and question.spec.profile != PROFILE_OF_ADDRESSES:
        sentence = f"Let's Encrypt certifies IP addresses such as {name} only with the profile {PROFILE_OF_ADDRESSES}."
        yield _error(name, sentence, f"Choose the profile {PROFILE_OF_ADDRESSES}.")


def _shape(name: str) -> Finding | None:
    """Letters, digits and hyphens in lower case (RFC 5890 section 2.3.1), lengths (RFC 1035), real punycode."""
    labels = base_of(name).split(".")
    if name != name.lower():
        return _error(name, f"{name} has capital letters.", f"Write {name.lower()}.")
    if name.endswith("."):
        return _error(name, f"{name} ends with a dot.", f"Write {name.rstrip('.')}.")
    if len(name) > 253:
        return _error(name, f"{name[:40]}… has {len(name)} characters.", "A name has at most 253 characters.")
    return next(filter(None, (_label(name, label) for label in labels)), None) or _last_label(name, labels[-1])


def _label(name: str, label: str) -> Finding | None:
    if not _LABEL.fullmatch(label):
        sentence = f"{name} is not a name: {label or 'an empty part'} cannot stand between its dots."
        return _error(name, sentence, "Parts have letters, digits and inner hyphens, at most 63, and one dot between.")
    if label[2:4] == "--" and not is_genuine(label):
        return _error(name, f"{name}: {label} looks like punycode and is none.", "Write the name as it is spelled.")
    return None


def _last_label(name: str, label: str) -> Finding | None:
    """Programs read "1.2.3.04" and "1.2.3.0x4" as addresses."""
    if label.isdigit() or re.fullmatch(r"0x[0-9a-f]*", label):
        return _error(name, f"{name} looks like an IP address and is none.", "Write four numbers to 255, or a name.")
    return None


def _wildcard(name: str, question: Question) -> Finding | None:
    if not name.startswith("*."):
        return None
    if "." not in base_of(name):
        return _error(name, f"{name} would cover all of .{base_of(name)}.", "Use a name with a dot after the star.")
    if question.spec.challenge is not Challenge.DNS_01:
        sentence = f"{name} is a wildcard, which the HTTP check cannot prove."
        return _error(name, sentence, "Choose the DNS check and a DNS credential.", "wildcard_needs_dns")
    return None


def _publicness(name: str, question: Question) -> Finding | None:
    """The rules of names that everybody trusts: a public ending (publicsuffix.org), more than the ending itself."""
    base, authority = base_of(name), question.authority.label
    ending = base.rpartition(".")[2]
    if ending in _PRIVATE_ENDINGS or not public_suffix(base):
        sentence = f"{name} exists only in private networks: no public authority certifies names in .{ending}."
        return _error(name, sentence, "Use a name of a domain that you own, or your own authority.", "private_address")
    if is_public_suffix(base):
        return _error(name, f"{name} covers an ending under which everybody registers names.", "Use a name below it.")
    if question.is_lets_encrypt and len(base.split(".")) > MOST_LABELS:
        return _error(
            name, f"{name} has more than {MOST_LABELS} parts, which {authority} refuses.", "Use a shorter name."
        )
    return None
