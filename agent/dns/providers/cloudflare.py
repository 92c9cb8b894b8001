"""Cloudflare, by its API v4 with a scoped token.
May import: agent.dns.provider, agent.dns.spec."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from agent.dns.provider import TTL, HttpProvider, unquoted
from agent.dns.spec import DnsFailure, DnsProviderField, DnsProviderInfo, TxtRecord

# Its own error codes: the record is there already, or is gone.
_IDENTICAL = {81057, 81058}
_GONE = {81044}


class Cloudflare(HttpProvider):
    """https://developers.cloudflare.com/api/resources/dns/subresources/records/"""

    base_url = "https://api.cloudflare.com/client/v4"
    info: ClassVar = DnsProviderInfo(
        "cloudflare",
        "Cloudflare",
        "Make an API token (not the global key) with the permissions Zone / Zone / Read and Zone / DNS / Edit, "
        "for the one zone.",
        (DnsProviderField("token", "API token", "My profile, API tokens, Create token: Edit zone DNS.", secret=True),),
    )

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.job.values['token']}"}

    def _add(self, zone: str, record: TxtRecord) -> None:
        zone_id = self._zone_id(zone)
        if any(unquoted(found["content"]) == record.value for found in self._records(zone, zone_id, record.name)):
            return
        data = {"type": "TXT", "name": record.name, "content": f'"{record.value}"', "ttl": TTL}
        answer = self.api.call("POST", f"/zones/{zone_id}/dns_records", data=data)
        if not answer.ok and not _codes(answer.data) & _IDENTICAL:
            raise self.refusal(answer, zone)

    def _remove(self, zone: str, record: TxtRecord) -> None:
        zone_id = self._zone_id(zone)
        for found in self._records(zone, zone_id, record.name):
            if unquoted(found["content"]) == record.value:
                answer = self.api.call("DELETE", f"/zones/{zone_id}/dns_records/{found['id']}")
                if not answer.ok and answer.status != 404 and not _codes(answer.data) & _GONE:
                    raise self.refusal(answer, zone)

    def _values(self, zone: str, name: str) -> list[str]:
        return [unquoted(found["content"]) for found in self._records(zone, self._zone_id(zone), name)]

    def _zones(self) -> list[str]:
        return [found["name"] for found in self._pages("/zones", {}, "")]

    def _zone_id(self, zone: str) -> str:
        found = list(self._pages("/zones", {"name": zone}, zone))
        if not found:
            # A token that may not read a zone gets an empty list and no error.
            raise self.missing(zone)
        return str(found[0]["id"])

    def _records(self, zone: str, zone_id: str, name: str) -> list[dict[str, Any]]:
        return list(self._pages(f"/zones/{zone_id}/dns_records", {"type": "TXT", "name": name}, zone))

    def _pages(self, path: str, params: dict[str, str], zone: str) -> Iterator[dict[str, Any]]:
        page = pages = 1
        while page <= pages:
            answer = self.api.call("GET", path, params={**params, "page": str(page), "per_page": "50"})
            if answer.status == 400 or (answer.status == 403 and path == "/zones"):
                # 6003 (a header that is no token), 9109 (an invalid one), 10000 (one that was revoked).
                sentence = "Cloudflare does not accept the token."
                raise DnsFailure("dns_credential", sentence, self.info.help, answer.detail)
            if not answer.ok:
                raise self.refusal(answer, zone)
            yield from answer.data["result"]
            pages = (answer.data.get("result_info") or {}).get("total_pages", 1)
            page += 1


def _codes(data: Any) -> set[int]:
    return {error["code"] for error in (data or {}).get("errors") or []}
