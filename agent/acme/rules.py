"""How a problem of an authority is told to be one of the causes: by its kind, and by the words of its detail.
May import: agent.acme.problems."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from agent.acme.problems import Problem

_ADDRESS = re.compile(r"\[?([0-9a-fA-F:.]{3,45})\]?(?=[:,\s]|$)")
_DIALLED = re.compile(r"dial tcp \[?([0-9a-fA-F:.]+?)\]?:\d+:")
_QUOTED = re.compile(r'"([^"\s]{1,253})"')
_PAUSED_NAMES = re.compile(r"requesting certificates for (.+?)\. Please visit", re.DOTALL)

# Published at https://www.cloudflare.com/ips; unchanged since 2021.
_CLOUDFLARE_RANGES = (
    "173.245.48.0/20 103.21.244.0/22 103.22.200.0/22 103.31.4.0/22 141.101.64.0/18 108.162.192.0/18 "
    "190.93.240.0/20 188.114.96.0/20 197.234.240.0/22 198.41.128.0/17 162.158.0.0/15 104.16.0.0/13 "
    "104.24.0.0/14 172.64.0.0/13 131.0.72.0/22 2400:cb00::/32 2606:4700::/32 2803:f800::/32 2405:b500::/32 "
    "2405:8100::/32 2a06:98c0::/29 2c0f:f248::/32"
)
_CLOUDFLARE = tuple(ipaddress.ip_network(text) for text in _CLOUDFLARE_RANGES.split())


@dataclass(frozen=True)
class Rule:
    """`kinds` are problem types, empty for all; `detail` is searched, without case. `challenge` limits it to one."""

    cause: str
    kinds: frozenset[str]
    detail: re.Pattern[str]
    challenge: str = ""


def _rule(cause: str, kinds: str, detail: str = "", challenge: str = "") -> Rule:
    return Rule(cause, frozenset(kinds.split()), re.compile(detail, re.IGNORECASE), challenge)


# The first that fits counts. The words are those of Boulder (va/, ratelimits/, policy/), Pebble, GTS and ZeroSSL.
RULES = (
    # Limits: all are `rateLimited`, told apart by their words.
    _rule("paused", "rateLimited", r"unpause|temporarily prevented|self-service|/sfe/"),
    _rule("failure_limit", "rateLimited", r"too many failed (authorizations|validations)"),
    _rule("duplicate_limit", "rateLimited", r"exact set of|duplicate"),
    _rule("domain_limit", "rateLimited", r"too many certificates"),
    _rule("authority_busy", "rateLimited", r"service busy|overloaded"),
    _rule("other_limit", "rateLimited"),
    # The account.
    _rule("external_account", "externalAccountRequired"),
    _rule("external_account", "unauthorized malformed serverInternal", r"external ?account|\beab\b|\bmac key"),
    _rule("account_gone", "accountDoesNotExist"),
    _rule("account_gone", "unauthorized malformed", r"account.{0,60}(deactivated|revoked|not found|unknown)"),
    _rule("action_required", "userActionRequired"),
    # What was asked for.
    _rule("profile", "invalidProfile"),
    _rule("key_refused", "badCSR badPublicKey badSignatureAlgorithm"),
    _rule("private_address", "rejectedIdentifier malformed", r"public suffix|at least one dot|TLD|reserved|private"),
    _rule("name_refused", "rejectedIdentifier unsupportedIdentifier"),
    _rule("order_expired", "malformed", r"order.{0,40}(expired|not found|no longer)|no order|expired authorization"),
    _rule("nonce", "badNonce"),
    _rule("authority_busy", "serverInternal"),
    # CAA and DNS.
    _rule("dns_broken", "caa dns dnssec", r"servfail|dnssec|timed? ?out|timeout|bogus|refused|network unreachable"),
    _rule("dns_broken", "dnssec"),
    _rule("dns_broken", "dns unauthorized", r"unsuccessful response: '\\+x02'"),  # Pebble's way to say SERVFAIL
    _rule("caa_forbids", "caa"),
    _rule("record_not_seen", "dns unauthorized incorrectResponse", r"\bTXT\b", "dns-01"),
    _rule("private_address", "dns connection unauthorized", r"(private|reserved|restricted) (ip )?addr|is reserved"),
    _rule("no_address", "dns unknownHost", r"nxdomain|no valid|no such host|could not resolve|server misbehaving"),
    _rule("no_address", "connection malformed", r"no such host|no (valid )?(ip )?addresses|could not resolve"),
    _rule("dns_broken", "dns"),
    # The way to the web server.
    _rule("redirect_loop", "", r"redirect loop|too many redirects|stopped after \d+ redirects"),
    _rule("bad_redirect", "", r"in redirect target|invalid redirect|unsupported protocol scheme|invalid port"),
    _rule("bad_redirect", "tls"),
    _rule("several_machines", "unauthorized incorrectResponse", r"secondary validation"),
    _rule("blocked_places", "connection", r"secondary validation|timeout after connect|reset by peer|awaiting headers"),
    _rule("port_closed", "connection"),
    _rule("behind_cloudflare", "unauthorized incorrectResponse", r"cloudflare|(: |returned )5[23]\d\b|cf-ray"),
    _rule("path_shadowed", "unauthorized incorrectResponse", r"(: |code |status |returned )(401|403)\b"),
    _rule("blocked_places", "unauthorized incorrectResponse", r"(: |code |status |returned )(429|5\d\d)\b"),
    _rule("record_not_seen", "unauthorized incorrectResponse", "", "dns-01"),
    _rule("points_elsewhere", "unauthorized incorrectResponse", "", "http-01"),
)


def cause_of(problem: Problem, challenge: str) -> str:
    """The id of the cause; "other" when none fits."""
    if not problem.kind:
        return "authority_busy" if problem.status >= 500 or problem.status == 429 else "strange_answer"
    for rule in RULES:
        if rule.kinds and problem.kind not in rule.kinds:
            continue
        if rule.challenge in {"", challenge} and rule.detail.search(problem.detail):
            return _by_address(rule.cause, problem)
    return "other"


def address_in(detail: str) -> str:
    """The address that the authority reached: its words begin with it, or name what was dialled. "" without one."""
    match = _DIALLED.search(detail) or _ADDRESS.match(detail.removeprefix("During secondary validation: "))
    try:
        return str(ipaddress.ip_address(match[1].rstrip(":"))) if match else ""
    except ValueError:
        return ""


def is_cloudflare(address: str) -> bool:
    """Whether an address is one of Cloudflare's proxies."""
    ip = ipaddress.ip_address(address)
    return any(ip in network for network in _CLOUDFLARE if network.version == ip.version)


def named_in(problem: Problem) -> tuple[str, ...]:
    """The names that a problem is about: its identifiers, or those in its words."""
    if problem.names:
        return problem.names
    match = _PAUSED_NAMES.search(problem.detail)
    if match:
        return tuple(name for name in re.split(r"[,\s]+|\band\b", match[1]) if "." in name)
    return tuple(name for name in _QUOTED.findall(problem.detail) if "." in name or ":" in name)


def _by_address(cause: str, problem: Problem) -> str:
    """What an IPv6 address or Cloudflare's makes of an answer that is not ours, and of none."""
    address = address_in(problem.detail)
    if not address or cause not in {"points_elsewhere", "path_shadowed", "blocked_places", "port_closed"}:
        return cause
    if is_cloudflare(address):
        return "behind_cloudflare"
    if ":" in address:
        return {"points_elsewhere": "ipv6_elsewhere", "port_closed": "ipv6_only"}.get(cause, cause)
    return cause
