"""Whether nginx itself gives the token for a name, whatever redirects, passwords or rules its host has.
May import: agent.acme.{causes,spec}, agent.acme.check.{probe,surroundings}, agent.errors."""

from __future__ import annotations

import ipaddress

from agent.acme.causes import say
from agent.acme.check.probe import Result, Seen, Token, Way, ask
from agent.acme.check.surroundings import Address, Question
from agent.acme.spec import Finding, Level
from agent.errors import NginxUnavailable


def check_path(name: str, token: Token, question: Question) -> Finding:
    """Asks this agent's nginx twice, because a limit of requests lets the first one through."""
    try:
        nginx = ipaddress.ip_address(question.here.nginx_address())
    except NginxUnavailable as error:
        next_step = "Start nginx. The agent's page says how it is."
        return Finding(Level.ERROR, "path", error.message, name, next_step, cause="port_closed")
    first = _ask(name, token, question, nginx)
    if first.result is not Result.SEEN:
        return _error(name, first, question)
    second = _ask(name, token, question, nginx)
    if second.result is not Result.SEEN:
        sentence = (
            f"nginx gives the token of {name} once, and then answers {second.status}: a limit of requests applies."
        )
        next_step = "Let /.well-known/acme-challenge/ through without a limit: authorities ask from several places."
        return Finding(Level.WARNING, "path", sentence, name, next_step, cause="path_shadowed")
    by_way = " by way of a redirect" if first.redirects else ""
    return Finding(Level.OK, "path", f"nginx passes the check of {name}{by_way}.", name)


def _ask(name: str, token: Token, question: Question, nginx: Address) -> Seen:
    config = question.here.config

    def find(host: str) -> Address | None:
        """Only what this nginx answers itself is of interest here."""
        return nginx if host == name.strip("[]") else None

    ports = {80: config.http_port, 443: config.https_port}
    way = Way(find, frozenset({*ports, *ports.values()}), question.deadline, lambda port: ports.get(port, port))
    host = f"[{name}]" if ":" in name else name
    return ask(f"http://{host}{token.url_path}", token, way)


def _error(name: str, seen: Seen, question: Question) -> Finding:
    port = question.here.config.http_port
    if seen.result in {Result.REFUSED, Result.SILENT}:
        sentence = f"nginx does not answer on port {port} of this machine."
        next_step = "Start nginx. The agent's page says how it is."
        level = Level.ERROR if seen.result is Result.REFUSED else Level.WARNING
        return Finding(level, "path", sentence, name, next_step, cause="port_closed")
    if seen.result is Result.LOOP:
        sentence, next_step = say("redirect_loop", name=name)
        return Finding(Level.ERROR, "path", sentence, name, next_step, cause="redirect_loop")
    if seen.result is Result.BAD_REDIRECT:
        sentence, next_step = say("bad_redirect", name=name, authority=question.authority.label)
        return Finding(Level.ERROR, "path", f"{sentence} ({seen.location})", name, next_step, cause="bad_redirect")
    answer = f"redirects to {seen.location}" if seen.result is Result.FORBIDDEN else f"answers {seen.status}"
    sentence = f"A rule of this host hides the check path: nginx {answer} instead of giving the token of {name}."
    return Finding(Level.ERROR, "path", sentence, name, say("path_shadowed", name=name)[1], cause="path_shadowed")
