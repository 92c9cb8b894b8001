"""DigitalOcean, by its API v2 with a scoped token.
May import: agent.dns.provider, agent.dns.spec."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from agent.dns.provider import TTL, HttpProvider, relative, unquoted
from agent.dns.spec import DnsProviderField, DnsProviderInfo, TxtRecord

_PAGE = 200


class DigitalOcean(HttpProvider):
    """https://docs.digitalocean.com/reference/api/digitalocean/#tag/Domain-Records"""

    base_url = "https://api.digitalocean.com"
    info: ClassVar = DnsProviderInfo(
        "digitalocean",
        "DigitalOcean",
        "Make a personal access token with custom scopes: domain:create, domain:read, domain:update and "
        "domain:delete. It cannot be limited to one domain.",
        (DnsProviderField("token", "Access token", "API, Tokens, Generate new token.", secret=True),),
    )

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.job.values['token']}"}

    def _add(self, zone: str, record: TxtRecord) -> None:
        if record.value in self._values(zone, record.name):
            return
        data = {"type": "TXT", "name": relative(record.name, zone) or "@", "data": record.value, "ttl": TTL}
        answer = self.api.call("POST", f"/v2/domains/{zone}/records", data=data)
        if not answer.ok:
            raise self.refusal(answer, zone)

    def _remove(self, zone: str, record: TxtRecord) -> None:
        for found in list(self._records(zone, record.name)):
            if unquoted(found["data"]) == record.value:
                answer = self.api.call("DELETE", f"/v2/domains/{zone}/records/{found['id']}")
                if not answer.ok and answer.status != 404:
                    raise self.refusal(answer, zone)

    def _values(self, zone: str, name: str) -> list[str]:
        return [unquoted(found["data"]) for found in self._records(zone, name)]

    def _zones(self) -> list[str]:
        return [found["name"] for found in self._pages("/v2/domains", "domains", {}, "")]

    def _records(self, zone: str, name: str) -> Iterator[dict[str, Any]]:
        path, params = f"/v2/domains/{zone}/records", {"type": "TXT", "name": name}
        return self._pages(path, "domain_records", params, zone)

    def _pages(self, path: str, key: str, params: dict[str, str], zone: str) -> Iterator[dict[str, Any]]:
        page, more = 1, True
        while more:
            answer = self.api.call("GET", path, params={**params, "page": str(page), "per_page": str(_PAGE)})
            if answer.status == 404:
                raise self.missing(zone, answer.detail)
            if not answer.ok:
                raise self.refusal(answer, zone)
            yield from answer.data[key]
            more = "next" in ((answer.data.get("links") or {}).get("pages") or {})
            page += 1
