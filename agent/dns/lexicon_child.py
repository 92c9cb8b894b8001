"""Runs dns-lexicon in a process of its own: it has no time-outs, takes 47 MiB, and may hang without hurting anybody.
May import: agent.dns.{http,spec}, dns-lexicon, requests. One question on stdin, one answer on stdout."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any
from urllib.parse import urlsplit

import requests
from lexicon._private.discovery import find_providers, load_provider_module
from lexicon.config import ConfigResolver
from lexicon.exceptions import AuthenticationError

from agent.dns.http import GuardedAdapter
from agent.dns.spec import DnsFailure

TTL = 60


class _Careful(requests.Session):
    """No redirects to other hosts: a provider's own header with the key would go along. No forbidden addresses."""

    def __init__(self) -> None:
        super().__init__()
        for scheme in ("http://", "https://"):
            self.mount(scheme, GuardedAdapter())

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """The next address, or None to stay with this answer."""
        target = super().get_redirect_target(resp)
        if target is not None and urlsplit(target).netloc not in {"", urlsplit(resp.url).netloc}:
            return None
        return target


def main() -> None:
    """Reads the question, answers it, and ends."""
    answer_to, sys.stdout = sys.stdout, sys.stderr
    # Where relative names of files mean what the agent looked at.
    os.chdir("/")
    requests.Session = requests.sessions.Session = _Careful  # type: ignore[misc]
    question = json.load(sys.stdin)
    json.dump(_answer(question), answer_to)


def _answer(question: dict[str, Any]) -> dict[str, Any]:
    if question["action"] == "list":
        return {"ok": True, "providers": _list(question["without"])}
    try:
        return {"ok": True, "values": _act(question)}
    except AuthenticationError as error:
        return _no("auth", str(error))
    except requests.HTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        return _no("auth" if status in {401, 403} else "http", f"{error} {error.response.text[:500]}")
    except (requests.RequestException, OSError, DnsFailure) as error:
        return _no("network", str(error))
    except Exception as error:  # noqa: BLE001 - the boundary of this process; 90 modules raise what they like
        return _no("other", f"{type(error).__name__}: {error}")


def _no(kind: str, text: str) -> dict[str, Any]:
    return {"ok": False, "kind": kind, "text": text}


def _list(without: list[str]) -> list[dict[str, Any]]:
    """Every provider whose requirements are installed, with the options that its command line would have."""
    found = []
    for name, is_available in find_providers().items():
        if is_available and name not in without:
            parser = argparse.ArgumentParser(add_help=False)
            load_provider_module(name).Provider.configure_parser(parser)
            options = [(option.dest, option.help or "", option.nargs == 0) for option in parser._actions]  # noqa: SLF001
            found.append({"name": name, "options": options})
    return found


def _act(question: dict[str, Any]) -> list[str]:
    """The zone is given, so that nothing guesses it by a list of public suffixes from the network."""
    name, zone = question["provider"], question["zone"]
    resolver: Any = ConfigResolver
    config = resolver().with_dict(
        {"provider_name": name, "domain": zone, "ttl": TTL, "action": question["action"], name: question["options"]}
    )
    provider = load_provider_module(name).Provider(config)
    provider.authenticate()
    try:
        return _do(provider, question)
    finally:
        provider.cleanup()


def _do(provider: Any, question: dict[str, Any]) -> list[str]:
    name, value = question["name"], question["value"]
    if question["action"] == "add":
        provider.create_record("TXT", name, value)
    elif question["action"] == "remove":
        provider.delete_record(None, "TXT", name, value)
    else:
        return [str(record["content"]) for record in provider.list_records("TXT", name)]
    return []


if __name__ == "__main__":
    main()
