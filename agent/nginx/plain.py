"""A host without its certificate: the same file as plain HTTP, made from what the agent has already checked.
May import: agent.nginx.tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from agent.nginx.tokens import Directive, parse

_BARE = re.compile(r"[A-Za-z0-9_.:/$*@=+,-]+")


def make_plain(text: str, listen: Sequence[str]) -> str:
    """A host's file without anything of TLS: its addresses for that, its certificate, HTTP/2 and the redirect to https,
    which is the only `if` that a host may have. HSTS needs no word: it is sent over TLS alone. A server that listened
    for TLS only listens at `listen` instead. Raises BundleRefused for what nginx could not read either."""
    return "".join(_write(_without_tls(parse(text), listen), "    "))


def _without_tls(directives: Sequence[Directive], listen: Sequence[str]) -> list[Directive]:
    return [_plain_server(each, listen) if each.name == "server" and each.block else each for each in directives]


def _plain_server(server: Directive, listen: Sequence[str]) -> Directive:
    kept = [each for each in server.block or [] if not _is_of_tls(each)]
    if not any(each.name == "listen" for each in kept):
        kept = [*(Directive("listen", (address,), server.line) for address in listen), *kept]
    return Directive(server.name, server.args, server.line, kept)


def _is_of_tls(directive: Directive) -> bool:
    is_listening = directive.name == "listen" and "ssl" in directive.args
    return is_listening or directive.name in {"http2", "if"} or directive.name.startswith("ssl_")


def _write(directives: Sequence[Directive], indent: str) -> Iterator[str]:
    for each in directives:
        words = " ".join([each.name, *map(_quote, each.args)])
        if each.block is None:
            yield f"{indent}{words};\n"
        else:
            yield f"{indent}{words} {{\n"
            yield from _write(each.block, f"{indent}    ")
            yield f"{indent}}}\n"


_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})


def _quote(word: str) -> str:
    """As agent.nginx.tokens and nginx read it back."""
    return word if _BARE.fullmatch(word) else f'"{word.translate(_ESCAPES)}"'
