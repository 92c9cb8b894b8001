"""deSEC, by its REST API with a token that a policy can limit to one zone.
May import: agent.dns.provider, agent.dns.spec."""

from __future__ import annotations

import re
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

from agent.dns.provider import HttpProvider, relative, unquoted
from agent.dns.spec import DnsProviderField, DnsProviderInfo, TxtRecord

_NEXT = re.compile(r'<([^<>]*)>\s*;\s*rel="next"')


class Desec(HttpProvider):
    """https://desec.readthedocs.io/en/latest/dns/rrsets.html"""

    base_url = "https://desec.io/api/v1"
    info: ClassVar = DnsProviderInfo(
        "desec",
        "deSEC",
        "Make a token (Token management) without further permissions, with a policy that allows writing TXT records "
        "of _acme-challenge in the one zone.",
        (DnsProviderField("token", "Token", "Shown once, when it is made.", secret=True),),
    )

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Token {self.job.values['token']}"}

    def _add(self, zone: str, record: TxtRecord) -> None:
        texts = self._values(zone, record.name)
        if record.value not in texts:
            self._write(zone, record.name, [*texts, record.value])

    def _remove(self, zone: str, record: TxtRecord) -> None:
        texts = self._values(zone, record.name)
        if record.value in texts:
            self._write(zone, record.name, [text for text in texts if text != record.value])

    def _values(self, zone: str, name: str) -> list[str]:
        answer = self.api.call("GET", f"/domains/{zone}/rrsets/{relative(name, zone) or '@'}/TXT/")
        if answer.status == 404:
            self._smallest_ttl(zone)
            return []
        if not answer.ok:
            raise self.refusal(answer, zone)
        return [unquoted(text) for text in answer.data["records"]]

    def _zones(self) -> list[str]:
        found: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            answer = self.api.call("GET", "/domains/", params={"cursor": cursor})
            if not answer.ok:
                raise self.refusal(answer, "")
            found += [zone["name"] for zone in answer.data]
            match = _NEXT.search(answer.headers.get("Link", ""))
            cursor = parse_qs(urlsplit(match[1]).query).get("cursor", [None])[0] if match else None
        return found

    def _write(self, zone: str, name: str, texts: list[str]) -> None:
        """Replaces the set; an empty one is deleted. There is no call that adds one value."""
        item = {
            "subname": relative(name, zone),
            "type": "TXT",
            "ttl": self._smallest_ttl(zone),
            "records": [f'"{text}"' for text in texts],
        }
        answer = self.api.call("PATCH", f"/domains/{zone}/rrsets/", data=[item])
        if not answer.ok:
            raise self.refusal(answer, zone)

    def _smallest_ttl(self, zone: str) -> int:
        """Seconds; usually 3600, and less is refused. Raises DnsFailure when the zone is not ours."""
        answer = self.api.call("GET", f"/domains/{zone}/")
        if answer.status == 404:
            raise self.missing(zone, answer.detail)
        if not answer.ok:
            raise self.refusal(answer, zone)
        return int(answer.data["minimum_ttl"])
