"""A service of your own that is told by HTTP, in the form of lego's `httpreq`.
May import: agent.dns.addresses, agent.dns.provider, agent.dns.spec."""

from __future__ import annotations

import base64
from typing import ClassVar

from agent.dns.addresses import check_url
from agent.dns.provider import HttpProvider
from agent.dns.spec import DnsFailure, DnsProviderField, DnsProviderInfo, TxtRecord


class Webhook(HttpProvider):
    """POST <address>/present and <address>/cleanup with {"fqdn": "_acme-challenge.example.com.", "value": "…"}.

    https://go-acme.github.io/lego/dns/httpreq/ (its default mode). Any 2xx is a yes.
    """

    needs_zone = False
    can_read = False
    info: ClassVar = DnsProviderInfo(
        "webhook",
        "Webhook",
        "Your service gets the name and the value, and adds or removes the TXT record. Let it accept names that start "
        "with _acme-challenge only. Plain http is for addresses of your own network.",
        (
            DnsProviderField("url", "Address", "https://dns.example.com/hook: /present and /cleanup are called."),
            DnsProviderField("username", "User name", "When it asks for one (basic authentication).", optional=True),
            DnsProviderField("password", "Password", secret=True, optional=True),
        ),
    )

    def _url(self) -> str:
        return check_url(self.job.values["url"], "Address")

    def _headers(self) -> dict[str, str]:
        user, password = self.job.values["username"], self.job.values["password"]
        if not user and not password:
            return {}
        return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}

    def _add(self, zone: str, record: TxtRecord) -> None:
        self._tell("/present", zone, record)

    def _remove(self, zone: str, record: TxtRecord) -> None:
        self._tell("/cleanup", zone, record)

    def _tell(self, path: str, zone: str, record: TxtRecord) -> None:
        answer = self.api.call("POST", path, data={"fqdn": record.name + ".", "value": record.value})
        if answer.status == 404:
            sentence = f"The webhook knows no {path}."
            next_step = "Enter the address without /present; both /present and /cleanup must be there."
            raise DnsFailure("dns_credential", sentence, next_step, answer.detail)
        if not answer.ok:
            raise self.refusal(answer, zone or record.name)
