"""The causes for which people do not get a certificate, with stable ids and their words.
May import: the standard library only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Cause:
    """`sentence` and `next_step` are templates: {name}, {authority}, {address}, {when}, {path}, {detail}.

    `needs_person`: trying again by itself is of no use, a person must do something first.
    """

    id: str
    sentence: str
    next_step: str
    needs_person: bool = False


_ALL = (
    Cause(
        "no_address",
        "{name} has no address in DNS.",
        "Add an A record for {name} that leads to this machine, then try again.",
    ),
    Cause(
        "points_elsewhere",
        "{name} leads to another machine: {authority} got an answer there that is not ours.",
        "Let the A record of {name} lead to this machine. If it leads to a proxy, pass "
        "/.well-known/acme-challenge/ on to this machine, or use the DNS check.",
    ),
    Cause(
        "port_closed",
        "{authority} must reach port 80 of {name} and nothing answers there.",
        "Open port 80 in the firewall and forward it in the router to this machine, or use the DNS check.",
    ),
    Cause(
        "ipv6_elsewhere",
        "The IPv6 address of {name} leads to another machine. {authority} tries IPv6 first.",
        "Correct the AAAA record of {name}, or remove it.",
    ),
    Cause(
        "ipv6_only",
        "{authority} reaches {name} only by IPv6, and nothing answers there.",
        "Let nginx listen on IPv6 on this machine and open port 80 for it, or add an A record.",
    ),
    Cause(
        "behind_cloudflare",
        "Cloudflare stands in front of {name}, and it does not pass the check on to this machine.",
        "Use the DNS check with a Cloudflare token, or switch the proxy of this record off until the certificate is "
        "there.",
    ),
    Cause(
        "redirect_loop",
        "The check of {name} is sent in circles from one address to another.",
        "Exclude /.well-known/acme-challenge/ from the redirects. Behind Cloudflare, set its SSL mode to Full "
        "(strict).",
    ),
    Cause(
        "bad_redirect",
        "The check of {name} is redirected to an address where {authority} does not go.",
        "Redirect to https://$host$request_uri, on port 80 or 443 only.",
    ),
    Cause(
        "path_shadowed",
        "A rule in front of {name} hides /.well-known/acme-challenge/: it answers something else than the token.",
        "Let this path through without a password, an address list or a filter.",
    ),
    Cause(
        "several_machines",
        "{name} has several addresses, and not all of them know the token of this machine.",
        "Let all addresses of {name} lead to this machine, or use the DNS check.",
    ),
    Cause(
        "caa_forbids",
        "A CAA record of {name} or of its parent domain does not allow {authority}.",
        "Add a CAA record that allows {authority}, or choose the authority that is allowed.",
    ),
    Cause(
        "dns_broken",
        "The name servers of {name} give broken answers, or none.",
        "Ask who runs the DNS of {name}. If it is signed (DNSSEC), a tool such as dnsviz.net shows what is wrong.",
    ),
    Cause(
        "private_address",
        "{name} is known at home only: no authority on the internet can check it.",
        "Use a public name, with the DNS check when its address is private, or an authority of your own.",
        needs_person=True,
    ),
    Cause(
        "wildcard_needs_dns",
        "{name} is a wildcard, and authorities check wildcards by DNS only.",
        "Choose the DNS check and a DNS credential.",
        needs_person=True,
    ),
    Cause(
        "failure_limit",
        "The check of {name} failed too often. {authority} opens again {when}.",
        "Nothing to do until then. Correct the cause of the failures meanwhile; a try on staging shows whether it is.",
    ),
    Cause(
        "duplicate_limit",
        "{authority} issued this same certificate too often in the last days. The next one is possible {when}.",
        "Use the certificate that is there, or add or remove a name.",
    ),
    Cause(
        "domain_limit",
        "{authority} issued too many certificates for the domain of {name} in the last days. The next one is possible "
        "{when}.",
        "Use one wildcard certificate for many names, or another authority.",
    ),
    Cause(
        "paused",
        "{authority} paused {name}, because its check failed for a long time.",
        "Correct the cause, then open the page of {authority} and end the pause there.",
        needs_person=True,
    ),
    Cause(
        "name_refused",
        "{authority} refuses to issue for {name}.",
        "Remove this name; the others can go on without it. Or use another authority.",
        needs_person=True,
    ),
    Cause(
        "record_not_seen",
        "{authority} did not see the TXT record of _acme-challenge.{name}, or saw another one.",
        "Look whether the provider publishes it on all its name servers, and remove old _acme-challenge records.",
    ),
    Cause(
        "dns_credential",
        "The DNS provider refuses the credential for {name}.",
        "Correct the DNS credential: it must be allowed to edit the zone of {name}.",
    ),
    Cause(
        "clock",
        "The clock of this machine is wrong.",
        "Set it right and let it follow time servers (chrony or systemd-timesyncd).",
    ),
    Cause(
        "authority_unreachable",
        "{authority} cannot be reached from this machine.",
        "Look whether this machine resolves names and may open connections to port 443; a proxy may stand between.",
    ),
    Cause(
        "authority_busy",
        "{authority} is busy or in maintenance. It is tried again {when}.",
        "Nothing to do.",
    ),
    Cause(
        "nonce",
        "{authority} refused one request after another as repeated.",
        "Nothing to do: it is tried again.",
    ),
    Cause(
        "order_expired",
        "The order at {authority} was too old.",
        "Nothing to do: a new order is made.",
    ),
    Cause(
        "account_gone",
        "{authority} does not know the account of this agent any more.",
        "Try again: a new account is made. If {authority} needs external account binding, enter new values first.",
    ),
    Cause(
        "external_account",
        "{authority} needs external account binding, and the values are missing or wrong.",
        "Copy the key id and the HMAC key from the website of {authority} into its settings.",
        needs_person=True,
    ),
    Cause(
        "blocked_places",
        "Some of the places from where {authority} checks {name} got no answer in time.",
        "Let everybody reach /.well-known/acme-challenge/: a country filter, a rate limit or a ban may stop them.",
    ),
    Cause(
        "nginx_refused",
        "The certificate is ready, but nginx does not serve it: {detail}",
        "The certificate before stays in use. Correct what nginx names, then try again.",
    ),
    Cause(
        "storage",
        "{path} cannot be written: {detail}",
        "Make room or correct the owner and rights of this folder. Nothing is ordered until it can be saved.",
    ),
    # Beyond the usual ones.
    Cause(
        "other_limit",
        "{authority} has had too many requests from this machine or account. It opens again {when}.",
        "Nothing to do until then.",
    ),
    Cause(
        "profile",
        "{authority} does not know the profile that was chosen, or refuses it for these names.",
        "Choose another profile, or none.",
        needs_person=True,
    ),
    Cause(
        "key_refused",
        "{authority} refuses the key of the certificate.",
        "Choose another key type.",
        needs_person=True,
    ),
    Cause(
        "action_required",
        "{authority} wants a person to agree to something on its page first.",
        "Open the page and do what it says.",
        needs_person=True,
    ),
    Cause(
        "dns_provider",
        "The DNS provider does not answer, or is busy: {detail}",
        "Nothing to do: it is tried again.",
    ),
    Cause(
        "strange_answer",
        "What answers at the address of {authority} does not speak ACME as it should: {detail}",
        "Look at the address of its directory. A proxy or a login page may answer in its place.",
    ),
    Cause(
        "bad_certificate",
        "{authority} sent a certificate that is not what was ordered: {detail}",
        "Nothing was installed. Try again, or use another authority.",
    ),
    Cause(
        "no_challenge",
        "{authority} does not offer this kind of check for {name}.",
        "Choose the other check.",
        needs_person=True,
    ),
    Cause(
        "slow",
        "{authority} did not finish in time.",
        "Try again: the order is taken up where it stands.",
    ),
    Cause(
        "other",
        "{authority} refused: {detail}",
        "Read the words of the authority below.",
    ),
)

CAUSES: dict[str, Cause] = {cause.id: cause for cause in _ALL}


def say(cause_id: str, **values: str) -> tuple[str, str]:
    """Sentence and next step of a cause, filled in. What is not given becomes a general word.

    Raises KeyError for an unknown cause.
    """
    cause = CAUSES[cause_id]
    known = {
        "name": "the name",
        "authority": "the authority",
        "when": "later",
        "address": "",
        "path": "The folder of the certificates",
        "detail": "no reason was given.",
        **{name: value for name, value in values.items() if value},
    }
    return _sentence(cause.sentence.format_map(known)), _sentence(cause.next_step.format_map(known))


def list_names(names: Sequence[str]) -> str:
    """One name, "a and b", or "a, b and 18 others"."""
    if len(names) > 3:
        return f"{names[0]}, {names[1]} and {len(names) - 2} others"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _sentence(text: str) -> str:
    """With a capital where a filled-in word begins it, unless that is a host name."""
    first, _, rest = text.partition(" ")
    return text if "." in first or not rest else text[:1].upper() + text[1:]
