"""All that dns-lexicon can do beyond our own providers, with fields made from its options. An optional extra.
May import: agent.dns.addresses, agent.dns.provider, agent.dns.spec; dns-lexicon only in a process of its own."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from agent.dns.addresses import check_url, refuse_address, resolve_host
from agent.dns.provider import Job, Provider
from agent.dns.spec import DnsFailure, DnsProviderField, DnsProviderInfo, TxtRecord
from agent.output import clean

_log = logging.getLogger(__name__)

_ROOT = Path(__file__).parents[3]
_PREFIX = "lexicon-"
_SECONDS = 120.0
# What we do ourselves; what guesses (`auto`) or writes files of this machine (`localzone`) or reads its settings and
# metadata (`oci`); and what has been dead for years (`linode` is its version 3).
_WITHOUT = ("auto", "localzone", "oci", "ddns", "cloudflare", "digitalocean", "hetzner", "desec", "route53")
_DEAD = ("cloudxns", "linode", "rackspace", "softlayer", "yandex", "zeit")
_SECRET = ("token", "secret", "pass", "psw", "key", "totp", "2fa", "account_info")
_SERVERS = ("server", "endpoint", "host")
_FLAG = "(yes, or nothing)"
_HELP = "By dns-lexicon. Use a key of its own with rights for this one zone, where the provider has such."


class Lexicon(Provider):
    """One class for many providers: `lexicon-gandi`, `lexicon-powerdns` and so on."""

    def __init__(self, job: Job, info: DnsProviderInfo) -> None:
        super().__init__(job, info)
        self._name = info.id.removeprefix(_PREFIX)
        flags = {field.name for field in info.fields if field.help.endswith(_FLAG)}
        self._options = {name: value for name, value in job.values.items() if value}
        self._options = {n: v for n, v in self._options.items() if n not in flags or v.lower() in {"yes", "true", "1"}}
        for name, value in self._options.items():
            _check_option(name, value)

    @classmethod
    def offers(cls) -> list[DnsProviderInfo]:
        """Nothing where the package is not installed."""
        return list(_offers()) if importlib.util.find_spec("lexicon") else []

    @classmethod
    def find(cls, provider_id: str) -> DnsProviderInfo | None:
        """Lists only for its own ids."""
        if not provider_id.startswith(_PREFIX):
            return None
        return next((info for info in cls.offers() if info.id == provider_id), None)

    def _add(self, zone: str, record: TxtRecord) -> None:
        self._ask("add", zone, record)

    def _remove(self, zone: str, record: TxtRecord) -> None:
        self._ask("remove", zone, record)

    def _values(self, zone: str, name: str) -> list[str]:
        return [text.strip('"') for text in self._ask("values", zone, TxtRecord(name, ""))]

    def _ask(self, action: str, zone: str, record: TxtRecord) -> list[str]:
        self.job.guard.check()
        question = {
            "action": action,
            "provider": self._name,
            "options": self._options,
            "zone": zone,
            "name": record.name,
            "value": record.value,
        }
        try:
            answer = _run(question, min(_SECONDS, max(1.0, self.job.guard.remaining())))
        except subprocess.TimeoutExpired:
            sentence = f"{self.offer.label} did not answer in time."
            raise DnsFailure("dns_provider", sentence, "Try again later.") from None
        if not answer["ok"]:
            raise self._failure(answer, zone)
        return list(answer["values"])

    def _failure(self, answer: dict[str, Any], zone: str) -> DnsFailure:
        label, detail = self.offer.label, self._scrubbed(answer["text"])
        if answer["kind"] == "auth":
            sentence = f"{label} does not accept the credential for zone {zone}."
            return DnsFailure("dns_credential", sentence, self.offer.help, detail)
        if answer["kind"] == "network":
            sentence = f"{label} cannot be reached from this machine."
            return DnsFailure("dns_provider", sentence, "Try again later.", detail)
        sentence = f"{label} could not change zone {zone}."
        return DnsFailure("dns_provider", sentence, "Read its own words in the details.", detail)

    def _scrubbed(self, text: str) -> str:
        secrets = {field.name for field in self.offer.fields if field.secret}
        for name, value in sorted(self._options.items(), key=lambda option: -len(option[1])):
            if name in secrets and len(value) >= 4:
                text = text.replace(value, "(secret)")
        return clean(text)[:1000]


@cache
def _offers() -> tuple[DnsProviderInfo, ...]:
    try:
        answer = _run({"action": "list", "without": [*_WITHOUT, *_DEAD]}, _SECONDS)
    except (subprocess.SubprocessError, ValueError):
        _log.exception("dns-lexicon is installed and cannot be used")
        return ()
    return tuple(_info(found["name"], found["options"]) for found in answer["providers"])


def _info(name: str, options: list[tuple[str, str, bool]]) -> DnsProviderInfo:
    """Its options do not tell which are needed: with one there is no choice, else its check tells."""
    return DnsProviderInfo(
        f"{_PREFIX}{name}",
        f"{name} (lexicon)",
        _HELP,
        tuple(
            _field(option, text, is_flag=is_flag, is_one_of_many=len(options) > 1) for option, text, is_flag in options
        ),
    )


def _field(option: str, text: str, *, is_flag: bool, is_one_of_many: bool) -> DnsProviderField:
    label = option.removeprefix("auth_").replace("_", " ").capitalize()
    help_text = " ".join(text.split()).removeprefix("specify ")[:300]
    is_id = "id" in option.split("_")
    is_secret = not is_flag and not is_id and any(word in option for word in _SECRET)
    if is_flag:
        help_text = f"{help_text} {_FLAG}"
    is_secret = is_secret or "api key" in help_text.lower()
    return DnsProviderField(option, label, help_text, secret=is_secret, optional=is_one_of_many)


def _check_option(name: str, value: str) -> None:
    """Some options are names of files or of servers: no file of this machine is read, and servers are looked at."""
    if value.startswith("file::") or _is_file(value):
        next_step = "Enter its content, as base64:: followed by the content in base64 where the provider wants a file."
        raise DnsFailure("dns_credential", f"{name}: a name of a file cannot be used here.", next_step)
    if any(word in name.split("_") for word in _SERVERS):
        url = check_url(value if "://" in value else f"https://{value}", name)
        host = url.split("://")[1].split("/")[0]
        refuse_address(resolve_host(_without_port(host)), plain=url.startswith("http:"))


def _without_port(host: str) -> str:
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


def _is_file(value: str) -> bool:
    try:
        return (Path("/") / value).exists()
    except (OSError, ValueError):
        return False


def _run(question: dict[str, Any], seconds: float) -> dict[str, Any]:
    """The values travel by stdin, so that no list of processes shows them; they are in no environment either."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AGENT_", "PANEL_", "LEXICON_"))}
    done = subprocess.run(
        [sys.executable, "-m", "agent.dns.lexicon_child"],
        cwd=_ROOT,
        input=json.dumps(question).encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=seconds,
        env=env,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
