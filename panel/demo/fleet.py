"""The team, its machines, its sites and its certificates, as plain values.
May import: panel.models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from panel.models import Role

ADDRESSES = {"maya": "203.0.113.24", "jonas": "203.0.113.57", "priya": "198.51.100.8", "tom": "203.0.113.91"}
PEOPLE = (("maya", Role.ADMINISTRATOR), ("jonas", Role.OPERATOR), ("priya", Role.OPERATOR), ("tom", Role.VIEWER))

BROWSERS = {
    "jonas": "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
    "priya": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/26.0 Safari/605.1.15",
    "tom": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/141.0 Safari/537.36 Edg/141.0",
}


@dataclass(frozen=True)
class Machine:
    """An agent. `is_online` ones are kept alive by `flask demo keep`."""

    name: str
    hostname: str
    os: str
    nginx_version: str
    is_online: bool = True


FRA, IAD, SIN = 0, 1, 2
MACHINES = (
    Machine("edge-fra-1", "edge-fra-1.acme.example", "Debian 12", "1.22.1"),
    Machine("edge-iad-1", "edge-iad-1.acme.example", "Ubuntu 24.04", "1.24.0"),
    Machine("edge-sin-1", "edge-sin-1.acme.example", "Debian 12", "1.22.1", is_online=False),
)
CLOUDFLARE: dict[str, Any] = {
    "id": "cloudflare",
    "label": "Cloudflare",
    "help": "Make an API token (not the global key) with the permissions Zone / Zone / Read and Zone / DNS / Edit, "
    "for the one zone.",
    "fields": [
        {
            "name": "token",
            "label": "API token",
            "help": "My profile, API tokens, Create token: Edit zone DNS.",
            "secret": True,
            "optional": False,
        }
    ],
}


@dataclass(frozen=True)
class Site:
    """A host: its names, where it leads to, on which machine, since how many days, by whom."""

    names: tuple[str, ...]
    upstream: str
    machine: int
    days: int
    actor: str
    tags: tuple[str, ...] = ()
    is_enabled: bool = True
    notes: str = ""


def _site(text: str) -> Site:
    names, upstream, machine, days, actor, tags, *rest = (part.strip() for part in text.split("|"))
    return Site(
        names=tuple(names.split()),
        upstream=upstream,
        machine=("fra", "iad", "sin").index(machine),
        days=int(days),
        actor=actor,
        tags=tuple(tags.split()),
        is_enabled="disabled" not in rest,
        notes=next((part for part in rest if part != "disabled"), ""),
    )


SITES = tuple(
    _site(line)
    for line in """
app.acme.example                            | http://10.0.4.12:3000     | fra | 72 | maya  | production
api.acme.example                            | http://10.0.4.13:8000     | fra | 72 | maya  | production | Ask Priya.
auth.acme.example                           | http://10.0.4.21:8080     | fra | 72 | maya  | production
www.acme.example acme.example               | http://10.0.4.10:8080     | fra | 72 | maya  | production marketing
docs.acme.example                           | http://docs:80            | fra | 68 | jonas | internal
git.acme.example                            | http://gitea:3000         | fra | 68 | jonas | internal
ci.acme.example                             | http://10.0.4.35:8000     | fra | 68 | jonas | internal
grafana.acme.example                        | http://grafana:3000       | fra | 68 | jonas | internal monitoring
status.acme.example                         | http://kuma:3001          | fra | 68 | jonas | internal monitoring
prometheus.acme.example                     | http://prometheus:9090    | fra | 61 | jonas | internal monitoring
logs.acme.example                           | http://10.0.4.44:3100     | fra | 61 | priya | internal monitoring
wiki.acme.example                           | http://10.0.4.25:8080     | fra | 61 | priya | internal
mail.acme.example webmail.acme.example      | http://10.0.4.50:8025     | fra | 55 | priya | internal
cloud.acme.example                          | http://nextcloud:80       | fra | 55 | priya | internal
meet.acme.example                           | https://10.0.4.60:8443    | fra | 55 | priya | production
intranet.acme.example                       | http://10.0.4.70:8080     | fra | 55 | maya  | internal
staging.acme.example                        | http://10.0.4.31:8080     | fra | 41 | jonas | staging
preview.acme.example                        | http://10.0.4.32:8080     | fra | 41 | jonas | staging
legacy.acme.example                         | https://10.0.4.90:8443    | fra | 41 | maya  | archive | disabled
shop.northwind.example www.northwind.example| http://10.2.0.9:8080      | iad | 66 | maya  | production customer
api.northwind.example                       | http://10.2.0.8:9000      | iad | 66 | maya  | production customer
auth.northwind.example                      | http://10.2.0.21:8080     | iad | 66 | priya | production customer
cdn.northwind.example                       | http://10.2.0.30:8080     | iad | 66 | priya | production customer
media.northwind.example                     | http://10.2.0.31:8080     | iad | 58 | priya | customer
reports.northwind.example                   | http://10.2.0.40:5000     | iad | 58 | priya | customer
admin.northwind.example                     | http://10.2.0.41:5001     | iad | 58 | jonas | customer
mail.northwind.example                      | http://10.2.0.50:8025     | iad | 58 | jonas | customer
erp.northwind.example                       | https://10.2.0.60:8443    | iad | 47 | jonas | customer
beta.northwind.example                      | http://10.2.0.70:8080     | iad | 47 | jonas | staging customer
bücher.northwind.example                    | http://10.2.0.71:8080     | iad | 33 | priya | customer
tickets.northwind.example                   | http://zammad:8080        | iad | 33 | priya | customer
old.northwind.example                       | http://10.2.0.90:80       | iad | 33 | maya  | archive | disabled
files.contoso.example                       | http://10.3.1.4:9001      | sin | 50 | maya  | customer
crm.contoso.example                         | http://10.3.1.5:8080      | sin | 50 | maya  | customer
portal.contoso.example login.contoso.example | http://10.3.1.6:8080     | sin | 50 | jonas | production customer
assets.contoso.example                      | http://10.3.1.7:8080      | sin | 38 | jonas | customer
metrics.contoso.example                     | http://10.3.1.8:9090      | sin | 38 | priya | customer monitoring
iot.contoso.example                         | http://10.3.1.9:1880      | sin | 38 | priya | customer
""".strip().splitlines()
)


@dataclass(frozen=True)
class Paper:
    """A certificate: for which names, how many days are left of how many, and what is the matter with it.

    `state`: valid, failing, absent (its first order failed). `source`: acme, staging, dns, upload, certbot.
    """

    machine: int
    names: tuple[str, ...]
    left: int
    source: str = "acme"
    state: str = "valid"
    lifetime: int = 90
    sites: tuple[str, ...] = ()
    is_paused: bool = False
    actor: str = "maya"

    @property
    def folder(self) -> str:
        """What its folder is called, as services.lineage_names calls it."""
        return self.names[0].removeprefix("*.")


_WILDCARD = tuple(
    f"{name}.acme.example"
    for name in ("app", "api", "auth", "docs", "git", "ci", "grafana", "status", "prometheus", "logs", "wiki", "cloud")
)
PAPERS = (
    Paper(FRA, ("*.acme.example", "acme.example"), 52, "dns", sites=(*_WILDCARD, "www.acme.example")),
    Paper(FRA, ("mail.acme.example", "webmail.acme.example"), 61, actor="priya"),
    Paper(FRA, ("meet.acme.example",), 38, actor="priya"),
    Paper(FRA, ("intranet.acme.example",), 213, "upload", lifetime=365),
    Paper(FRA, ("staging.acme.example",), 71, "staging", actor="jonas"),
    Paper(FRA, ("preview.acme.example",), 13, lifetime=45, actor="jonas"),
    Paper(IAD, ("shop.northwind.example", "www.northwind.example"), 44),
    Paper(IAD, ("api.northwind.example",), 44),
    Paper(IAD, ("auth.northwind.example",), 9, state="failing", lifetime=45, actor="priya"),
    Paper(IAD, ("cdn.northwind.example",), 57, actor="priya"),
    Paper(IAD, ("media.northwind.example",), 65, actor="priya"),
    Paper(IAD, ("reports.northwind.example",), 33, actor="priya"),
    Paper(IAD, ("admin.northwind.example",), 79, actor="jonas"),
    Paper(IAD, ("mail.northwind.example",), 18, "certbot"),
    Paper(IAD, ("erp.northwind.example",), 12, lifetime=45, actor="jonas", is_paused=True),
    Paper(IAD, ("beta.northwind.example",), 0, state="absent", actor="jonas"),
    Paper(SIN, ("files.contoso.example",), -4, lifetime=45),
    Paper(SIN, ("portal.contoso.example", "login.contoso.example"), 22, lifetime=45, actor="jonas"),
    Paper(SIN, ("crm.contoso.example",), 49),
)
