"""acme-dns: a small DNS server for challenges only, to which `_acme-challenge` names lead by CNAME.
May import: agent.dns.addresses, agent.dns.provider, agent.dns.spec."""

from __future__ import annotations

from typing import ClassVar

from agent.dns.addresses import check_url
from agent.dns.provider import HttpProvider
from agent.dns.spec import DnsFailure, DnsProviderField, DnsProviderInfo, TxtRecord


class AcmeDns(HttpProvider):
    """https://github.com/acme-dns/acme-dns: POST /update. It keeps the last two values and has no way to remove one."""

    needs_zone = False
    can_read = False
    can_remove = False
    most_values = 2
    info: ClassVar = DnsProviderInfo(
        "acme-dns",
        "acme-dns",
        "The account can change one TXT name of the acme-dns server and nothing else. Let _acme-challenge.<your name> "
        "be a CNAME to the full domain that came with the account.",
        (
            DnsProviderField("url", "Server", "https://auth.acme-dns.io, or better one of your own."),
            DnsProviderField("username", "User name", "Of the answer to /register."),
            DnsProviderField("password", "Password", "Of the answer to /register.", secret=True),
            DnsProviderField("subdomain", "Subdomain", "Of the answer to /register."),
        ),
    )

    def _url(self) -> str:
        return check_url(self.job.values["url"], "Server")

    def _headers(self) -> dict[str, str]:
        return {"X-Api-User": self.job.values["username"], "X-Api-Key": self.job.values["password"]}

    def _add(self, zone: str, record: TxtRecord) -> None:
        subdomain = self.job.values["subdomain"].lower()
        if record.name.split(".")[0] != subdomain:
            sentence = f"{record.name} is not the name of the acme-dns account."
            next_step = f"Let it be a CNAME to {subdomain}.<domain of the acme-dns server>."
            raise DnsFailure("dns_credential", sentence, next_step)
        answer = self.api.call("POST", "/update", data={"subdomain": subdomain, "txt": record.value})
        if not answer.ok:
            raise self.refusal(answer, zone or record.name)

    def _remove(self, _zone: str, _record: TxtRecord) -> None:
        """The next two values push these out."""
