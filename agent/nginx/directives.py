"""The allow-list: which directives a file of the panel may hold, where, and with which arguments.
May import: agent.errors and agent.nginx.tokens."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from agent.errors import BundleRefused
from agent.nginx.tokens import Directive, parse


@dataclass(frozen=True)
class Policy:
    """What this machine allows: the ports nginx may listen on and the folder certificates are read from."""

    ports: frozenset[int]
    certificate_dir: Path


# Gets the arguments and the policy; answers None or what is wrong, to be read after "<directive>: ".
Check = Callable[[tuple[str, ...], Policy], str | None]


@dataclass(frozen=True)
class Rule:
    """How a directive's arguments are checked, and what its block may hold ("" when it must have none)."""

    check: Check
    opens: str = ""


def check_text(text: str, policy: Policy) -> None:
    """Raises BundleRefused with line and reason when the text holds anything that is not allowed."""
    for number, line in enumerate(text.split("\n"), 1):
        if not line.replace("\t", "").isprintable():
            raise BundleRefused("The line holds a control character.", line=number)
    _check_block(parse(text), "http", policy)


def _check_block(directives: list[Directive], context: str, policy: Policy) -> None:
    for directive in directives:
        problem = _map_entry(directive) if context == "map" else _problem(directive, context, policy)
        if problem:
            raise BundleRefused(f"{directive.name[:60]}: {problem}", line=directive.line)
        if directive.block is not None:
            _check_block(directive.block, RULES[context][directive.name].opens, policy)


def _problem(directive: Directive, context: str, policy: Policy) -> str | None:
    rule = RULES[context].get(directive.name)
    if rule is None:
        return "this directive is not allowed here."
    if (directive.block is not None) != bool(rule.opens):
        return "it must have a block." if rule.opens else "it must not have a block."
    if any("unix:" in arg.lower() for arg in directive.args):
        return "sockets of this machine are not allowed."
    return rule.check(directive.args, policy)


def _map_entry(directive: Directive) -> str | None:
    """A line of a map: any text on the left, one value on the right; never the parameter that reads a file."""
    if directive.block is not None or len(directive.args) > 1 or directive.name == "include":
        return "this is not allowed in a map."
    if directive.name.startswith("~") and "upstream_" in directive.name:
        return "a pattern must not capture into $upstream_…."
    if any("unix:" in arg.lower() for arg in directive.args):
        return "sockets of this machine are not allowed."
    return None


def _anything(_args: tuple[str, ...], _policy: Policy) -> str | None:
    return None


def _nothing(args: tuple[str, ...], _policy: Policy) -> str | None:
    return "it has no arguments here." if args else None


def _each(pattern: str) -> Check:
    """Every argument must match the whole pattern."""
    compiled = re.compile(pattern)

    def check(args: tuple[str, ...], _policy: Policy) -> str | None:
        wrong = next((arg for arg in args if not compiled.fullmatch(arg)), None)
        return None if wrong is None else f"“{wrong[:80]}” is not allowed."

    return check


def _listen(args: tuple[str, ...], policy: Policy) -> str | None:
    """An address with one of this agent's own ports, and plain flags."""
    match = re.fullmatch(r"(?:(?:[0-9.]+|\[[0-9a-f:.]+\]|\*):)?([0-9]{1,5})", args[0] if args else "")
    if not match or int(match[1]) not in policy.ports:
        return "only the ports of this agent are allowed."
    return _FLAGS(args[1:], policy)


_FLAGS = _each(r"default_server|ssl|http2|reuseport|ipv6only=(?:on|off)|backlog=[0-9]{1,6}")
_HOST = r"(?:[a-z0-9_](?:[a-z0-9_.-]{0,252}[a-z0-9_.])?|\[[0-9a-f:.]+\])"
_PORT = r"(?::[0-9]{1,5})?"
_NUMBER = _each(r"[0-9]{1,9}|on|off")
_SIZE = _each(r"[0-9]{1,9}[kKmMgG]?")
_TIME = _each(r"[0-9]{1,9}(?:ms|[smhd])?")
_SWITCH = _each(r"on|off")


def _certificate(args: tuple[str, ...], policy: Policy) -> str | None:
    """One file inside the certificate folder, without a way out of it. (A symlink inside is the agent's own.)"""
    path = PurePosixPath(args[0]) if len(args) == 1 else PurePosixPath()
    plain = len(args) == 1 and re.fullmatch(r"/[A-Za-z0-9_.@+,=:/ -]+", args[0]) and ".." not in path.parts
    if not plain or not path.is_relative_to(policy.certificate_dir):
        return f"only files in {policy.certificate_dir} are allowed."
    return None


def _set(args: tuple[str, ...], _policy: Policy) -> str | None:
    """Only `$upstream_…`, and only to a host: proxy_pass trusts these variables."""
    fine = len(args) == 2 and re.fullmatch(r"\$upstream_[a-z0-9_]+", args[0]) and re.fullmatch(_HOST, args[1].lower())
    return None if fine else "only $upstream_… may be set, to a host name or an address."


def _map(args: tuple[str, ...], _policy: Policy) -> str | None:
    fine = len(args) == 2 and re.fullmatch(r"\$(?!upstream_)[a-z0-9_]+", args[1])
    return None if fine else "a map gives a value to one variable, and not to $upstream_…."


# The one pattern: everything but ACME challenges, which are then files of the agent's own webroot. Whatever may keep a
# visitor out (a password, an address, a redirect) must stand inside this location, or no certificate can be had.
_ALL_BUT_CHALLENGES = ("~", r"^/(?!\.well-known/acme-challenge/)")
_REDIRECT = re.compile(r"https://\$host(?::[0-9]{1,5})?\$request_uri")


def _location(args: tuple[str, ...], _policy: Policy) -> str | None:
    if args == _ALL_BUT_CHALLENGES:
        return None
    fine = 1 <= len(args) <= 2 and args[-1].startswith(("/", "@")) and args[:-1] in {(), ("=",), ("^~",)}
    return None if fine else "only plain, exact and prefix locations are allowed."


def _if(args: tuple[str, ...], _policy: Policy) -> str | None:
    return None if args == ("($waypost_insecure)",) else "only ($waypost_insecure) may be asked for."


def _redirect(args: tuple[str, ...], _policy: Policy) -> str | None:
    """From http to the same place on https, and nowhere else."""
    fine = len(args) == 2 and args[0] == "301" and _REDIRECT.fullmatch(args[1])
    return None if fine else "only a redirect to the same address on https is allowed here."


# Schemes are literal and variables are only those that `set` above confines, so no value can name a socket or file.
_PROXY_PASS = _each(rf"https?://(?:\$upstream_[a-z0-9_]+|{_HOST}){_PORT}(?:/[^$]*|\$request_uri)?")

_HTTP: dict[str, Check] = {
    "map_hash_bucket_size": _NUMBER,
    "map_hash_max_size": _NUMBER,
    "server_names_hash_bucket_size": _NUMBER,
    "server_names_hash_max_size": _NUMBER,
    "variables_hash_bucket_size": _NUMBER,
    "variables_hash_max_size": _NUMBER,
    "proxy_headers_hash_bucket_size": _NUMBER,
    "proxy_headers_hash_max_size": _NUMBER,
}
_SERVER: dict[str, Check] = {
    "listen": _listen,
    "server_name": _each(r"(?:\*\.)?[a-z0-9_-][a-z0-9_.-]*|"),
    "ssl_reject_handshake": _SWITCH,
}
_SITE: dict[str, Check] = {"return": _anything, "set": _set}
_LOCATION: dict[str, Check] = {"proxy_pass": _PROXY_PASS, "internal": _nothing}
_UPSTREAM: dict[str, Check] = {
    "keepalive": _NUMBER,
    "keepalive_requests": _NUMBER,
    "keepalive_time": _TIME,
    "keepalive_timeout": _TIME,
    "zone": _each(r"waypost_[a-z0-9_]+|[0-9]{1,6}[kKmM]"),
}
_EVERYWHERE: dict[str, Check] = {
    "access_log": _each(r"off"),
    "add_header": _anything,
    "chunked_transfer_encoding": _SWITCH,
    "client_body_buffer_size": _SIZE,
    "client_body_timeout": _TIME,
    "client_header_buffer_size": _SIZE,
    "client_header_timeout": _TIME,
    "client_max_body_size": _SIZE,
    "default_type": _each(r"[a-z0-9.+/-]+"),
    "error_page": _each(r"[0-9]{3}|=[0-9]{0,3}|@[a-z0-9_]+|/[A-Za-z0-9_./-]*"),
    "gzip": _SWITCH,
    "gzip_comp_level": _NUMBER,
    "gzip_http_version": _anything,
    "gzip_min_length": _SIZE,
    "gzip_proxied": _each(r"[a-z_-]+"),
    "gzip_types": _each(r"[a-z0-9.+*/-]+"),
    "gzip_vary": _SWITCH,
    "http2": _SWITCH,
    "ignore_invalid_headers": _SWITCH,
    "keepalive_min_timeout": _TIME,
    "keepalive_requests": _NUMBER,
    "keepalive_timeout": _TIME,
    "large_client_header_buffers": _SIZE,
    "log_not_found": _SWITCH,
    "merge_slashes": _SWITCH,
    "port_in_redirect": _SWITCH,
    "absolute_redirect": _SWITCH,
    "server_name_in_redirect": _SWITCH,
    "proxy_buffer_size": _SIZE,
    "proxy_buffering": _SWITCH,
    "proxy_buffers": _SIZE,
    "proxy_busy_buffers_size": _SIZE,
    "proxy_connect_timeout": _TIME,
    "proxy_hide_header": _anything,
    "proxy_http_version": _each(r"1\.[01]|2"),
    "proxy_max_temp_file_size": _SIZE,
    "proxy_next_upstream": _each(r"[a-z0-9_]+"),
    "proxy_next_upstream_timeout": _TIME,
    "proxy_next_upstream_tries": _NUMBER,
    "proxy_pass_header": _anything,
    "proxy_read_timeout": _TIME,
    "proxy_redirect": _anything,
    "proxy_request_buffering": _SWITCH,
    "proxy_send_timeout": _TIME,
    "proxy_set_header": _anything,
    "proxy_socket_keepalive": _SWITCH,
    "proxy_ssl_name": _anything,
    "proxy_ssl_protocols": _each(r"TLSv1\.[23]"),
    "proxy_ssl_server_name": _SWITCH,
    "proxy_ssl_session_reuse": _SWITCH,
    "proxy_ssl_verify": _SWITCH,
    "proxy_ssl_verify_depth": _NUMBER,
    "reset_timedout_connection": _SWITCH,
    "send_timeout": _TIME,
    "server_tokens": _SWITCH,
    "ssl_certificate": _certificate,
    "ssl_certificate_key": _certificate,
    "ssl_ciphers": _each(r"[A-Za-z0-9:!+@=_-]+"),
    "ssl_ecdh_curve": _each(r"[A-Za-z0-9:_-]+"),
    "ssl_prefer_server_ciphers": _SWITCH,
    "ssl_protocols": _each(r"TLSv1\.[23]"),
    "ssl_session_cache": _each(r"shared:[A-Za-z0-9_]+:[0-9]{1,4}[km]|none|off"),
    "ssl_session_tickets": _SWITCH,
    "ssl_session_timeout": _TIME,
    "ssl_stapling": _SWITCH,
    "ssl_stapling_verify": _SWITCH,
    "ssl_trusted_certificate": _certificate,
    "tcp_nodelay": _SWITCH,
    "tcp_nopush": _SWITCH,
    "types_hash_bucket_size": _NUMBER,
    "types_hash_max_size": _NUMBER,
    "underscores_in_headers": _SWITCH,
    "uninitialized_variable_warn": _SWITCH,
}

_UPSTREAM_SERVER = _each(
    rf"{_HOST}{_PORT}|resolve|down|backup|(?:max_fails|weight|max_conns)=[0-9]{{1,6}}|fail_timeout=[0-9]{{1,6}}s?"
)


def _rules(*tables: dict[str, Check]) -> dict[str, Rule]:
    return {name: Rule(check) for table in tables for name, check in table.items()}


RULES: dict[str, dict[str, Rule]] = {
    "http": {
        **_rules(_HTTP, _EVERYWHERE),
        "map": Rule(_map, "map"),
        "server": Rule(_nothing, "server"),
        "upstream": Rule(_each(r"waypost_[a-z0-9_]+"), "upstream"),
    },
    "server": {
        **_rules(_SERVER, _SITE, _EVERYWHERE),
        "location": Rule(_location, "location"),
        "if": Rule(_if, "redirect"),
    },
    "redirect": {"return": Rule(_redirect)},
    "location": _rules(_LOCATION, _SITE, _EVERYWHERE),
    "upstream": {**_rules(_UPSTREAM), "server": Rule(_UPSTREAM_SERVER)},
}
