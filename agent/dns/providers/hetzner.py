"""Hetzner, by the DNS part of its Cloud API. The old one (dns.hetzner.com) ended in May 2026.
May import: agent.dns.{http,patience,provider,spec}."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from agent.dns.patience import pause
from agent.dns.provider import TTL, HttpProvider, relative, unquoted
from agent.dns.spec import DnsFailure, DnsProviderField, DnsProviderInfo, TxtRecord

if TYPE_CHECKING:
    from agent.dns.http import Answer

_OLD_TOKEN_LENGTH = 32
# Another change of the zone is being made (423 locked, 409 conflict): it is over in a moment.
_BUSY = frozenset({409, 423})
_LOOK_SECONDS = 0.5


class Hetzner(HttpProvider):
    """https://docs.hetzner.cloud/reference/cloud#dns"""

    base_url = "https://api.hetzner.cloud"
    info: ClassVar = DnsProviderInfo(
        "hetzner",
        "Hetzner",
        "Make an API token with Read & Write in the project that holds the zone (console.hetzner.com, Security, API "
        "tokens). It reaches the whole project, so keep the zone in a project of its own. Tokens of the old DNS "
        "console do not work any more.",
        (DnsProviderField("token", "API token", "Of console.hetzner.com, 64 characters.", secret=True),),
    )

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.job.values['token']}"}

    def _add(self, zone: str, record: TxtRecord) -> None:
        there = self._record_set(zone, record.name)
        if record.value in _texts(there):
            return
        data: dict[str, Any] = {"records": [{"value": f'"{record.value}"'}]}
        if there is None:
            # The TTL of a set that exists is not ours to change.
            data["ttl"] = TTL
        self._act(zone, record.name, "add_records", data)

    def _remove(self, zone: str, record: TxtRecord) -> None:
        if record.value in _texts(self._record_set(zone, record.name)):
            self._act(zone, record.name, "remove_records", {"records": [{"value": f'"{record.value}"'}]})

    def _values(self, zone: str, name: str) -> list[str]:
        return _texts(self._record_set(zone, name))

    def _zones(self) -> list[str]:
        found: list[str] = []
        page: int | None = 1
        while page:
            answer = self.api.call("GET", "/v1/zones", params={"page": str(page), "per_page": "50"})
            if not answer.ok:
                raise self.refusal(answer, "")
            found += [zone["name"] for zone in answer.data["zones"]]
            page = answer.data.get("meta", {}).get("pagination", {}).get("next_page")
        return found

    def refusal(self, answer: Answer, zone: str) -> DnsFailure:
        """Two cases have words of their own: an old token, and one that may only read."""
        if answer.status == 401 and len(self.job.values["token"]) == _OLD_TOKEN_LENGTH:
            sentence = "Hetzner does not accept this token: it looks like one of the old DNS console."
            return DnsFailure("dns_credential", sentence, self.info.help, answer.detail)
        if answer.status == 403 and _code(answer) == "token_readonly":
            sentence = f"The token is valid but may only read: it may not edit zone {zone}."
            return DnsFailure("dns_credential", sentence, self.info.help, answer.detail)
        return super().refusal(answer, zone)

    def _record_set(self, zone: str, name: str) -> dict[str, Any] | None:
        answer = self.api.call("GET", self._path(zone, name))
        if answer.status == 404:
            self._expect_zone(zone)
            return None
        if not answer.ok:
            raise self.refusal(answer, zone)
        found: dict[str, Any] = answer.data["rrset"]
        return found

    def _expect_zone(self, zone: str) -> None:
        """404 is the answer to a zone of somebody else, too."""
        answer = self.api.call("GET", f"/v1/zones/{zone}")
        if answer.status == 404:
            raise self.missing(zone, answer.detail)
        if not answer.ok:
            raise self.refusal(answer, zone)

    def _act(self, zone: str, name: str, action: str, data: dict[str, Any]) -> None:
        answer = self.api.call("POST", f"{self._path(zone, name)}/actions/{action}", data=data, busy=_BUSY)
        if not answer.ok:
            raise self.refusal(answer, zone)
        state = answer.data["action"]
        while state["status"] == "running":
            pause(self.job.guard, _LOOK_SECONDS)
            answer = self.api.call("GET", f"/v1/actions/{state['id']}")
            if not answer.ok:
                raise self.refusal(answer, zone)
            state = answer.data["action"]
        if state["status"] == "error":
            detail = f"{state['error']['code']}: {state['error']['message']}"
            raise DnsFailure("dns_provider", f"Hetzner could not change zone {zone}.", "Try again.", detail)

    def _path(self, zone: str, name: str) -> str:
        return f"/v1/zones/{zone}/rrsets/{relative(name, zone) or '@'}/TXT"


def _texts(record_set: dict[str, Any] | None) -> list[str]:
    return [unquoted(record["value"]) for record in (record_set or {"records": []})["records"]]


def _code(answer: Answer) -> str:
    return str((answer.data or {}).get("error", {}).get("code", ""))
