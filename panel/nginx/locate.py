"""Which field of the form a line of a rendered file comes from.
May import: the standard library only."""

from __future__ import annotations

_FIELDS = {
    "server_name": "domain_names",
    "server": "forward_host",
    "upstream": "forward_host",
    "zone": "forward_host",
    "proxy_pass": "forward_host",
    "set $upstream_host": "forward_host",
    "set $upstream_websocket": "websocket",
    "proxy_read_timeout": "websocket",
    "proxy_send_timeout": "websocket",
    "proxy_ssl_name": "forward_scheme",
    "ssl_certificate": "certificate_id",
    "ssl_certificate_key": "certificate_id",
    "http2": "http2",
    "set $upstream_hsts": "hsts",
    "if ($waypost_insecure)": "force_ssl",
    "return": "force_ssl",
}

_NO_FIELD = (["server", "{"],)


def locate_field(file_text: str, line: int, message: str = "") -> str:
    """The form field behind a line (from 1) that nginx refused; "" when it is none's.

    `message` is nginx's own: it tells a wrong port from a wrong name on the same line.
    """
    words = _directive_at(file_text.splitlines(), line)
    if words[:2] in _NO_FIELD:
        return ""
    field = _FIELDS.get(" ".join(words[:2])) or _FIELDS.get(words[0] if words else "", "")
    return "forward_port" if field == "forward_host" and "port" in message.lower() else field


def _directive_at(lines: list[str], line: int) -> list[str]:
    """The words of the directive that the line belongs to; it may have begun on a line before."""
    if not 1 <= line <= len(lines):
        return []
    first = line - 1
    while first > 0 and not _ends(lines[first - 1]):
        first -= 1
    return " ".join(lines[first:line]).split()


def _ends(line: str) -> bool:
    text = line.strip()
    return not text or text.startswith("#") or text.endswith((";", "{", "}"))
