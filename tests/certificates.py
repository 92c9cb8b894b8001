"""Certificates for tests: asked for, on an agent's disk, failing; and authorities and DNS providers.
May import: panel."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Flask

from panel.extensions import db, transaction
from panel.models import AcmeAuthority, Agent, Certificate, DnsCredential
from panel.models.types import utcnow
from panel.services import dns_credentials
from panel.services.dns_credentials import CredentialSpec

HOSTILE = '<script>alert(1)</script><hx-partial hx-target="#main">x</hx-partial>'
FAILURE = {
    "cause": "points_elsewhere",
    "sentence": "app.example.com leads to 198.51.100.7, and this server is 203.0.113.5.",
    "next_step": "Set the A record to 203.0.113.5.",
    "detail": f"urn:ietf:params:acme:error:unauthorized {HOSTILE}",
    "at": "2026-11-24T10:00:00+00:00",
    "retry_at": None,
    "url": "",
    "names": ["app.example.com"],
    "directory_url": "https://acme.example.com/directory",
}
PROVIDERS: list[dict[str, Any]] = [
    {
        "id": "cloudflare",
        "label": "Cloudflare",
        "help": "A token with Zone:Read and DNS:Edit.",
        "fields": [
            {"name": "token", "label": "API token", "help": "Of one zone.", "secret": True, "optional": False},
            {"name": "name", "label": "Account", "help": "", "secret": False, "optional": True},
        ],
    },
    {"id": "manual", "label": "Manual", "help": "You add the record.", "fields": []},
]


def add_authority(app: Flask, name: str = "Example CA", **values: Any) -> int:
    """An authority that can be asked; its id."""
    url = f"https://{name.lower().replace(' ', '-')}.example.com/directory"
    with app.app_context(), transaction():
        authority = AcmeAuthority(**{"name": name, "directory_url": url, **values})
        db.session.add(authority)
        db.session.flush()
        return authority.id


def add_certificate(app: Flask, agent: Agent, *names: str, left: float = 60, **values: Any) -> int:
    """A certificate as its agent reported it, with so many days left of 90; its id."""
    names = names or ("app.example.com",)
    now = utcnow()
    known: dict[str, Any] = {
        "agent_id": agent.id,
        "name": names[0].replace("*.", "wildcard."),
        "domain_names": list(names),
        "reported_names": list(names),
        "reported_at": now,
        "is_present": True,
        "is_served": True,
        "serial": "04a1b2c3",
        "issuer": "Example CA 1",
        "not_before": now + timedelta(days=left - 90),
        "not_after": now + timedelta(days=left, hours=1),
        "chain_path": f"/etc/letsencrypt/live/{names[0]}/fullchain.pem",
        "key_path": f"/etc/letsencrypt/live/{names[0]}/privkey.pem",
        "next_action": "renew",
        "next_action_at": now + timedelta(days=max(left - 30, 0.1)),
    }
    with app.app_context(), transaction():
        certificate = Certificate(**{**known, **values})
        db.session.add(certificate)
        db.session.flush()
        return certificate.id


def add_wish(app: Flask, agent: Agent, *names: str, **values: Any) -> int:
    """A certificate that was asked for and is not there yet; its id."""
    nothing: dict[str, Any] = {
        "is_present": False,
        "is_served": False,
        "not_before": None,
        "not_after": None,
        "reported_names": [],
    }
    unknown: dict[str, Any] = {"serial": "", "reported_at": None, "next_action": "", "next_action_at": None}
    return add_certificate(app, agent, *names, **{**nothing, **unknown, **values})


def add_credential(app: Flask, agent: Agent, name: str = "Zone of the shop", token: str = "s3cr3t-token") -> int:
    """A Cloudflare credential; its id. The agent knows the providers from then on."""
    with app.app_context(), transaction():
        db.session.get_one(Agent, agent.id).dns_providers = PROVIDERS
        db.session.flush()
        return dns_credentials.create(CredentialSpec(name, "cloudflare", {"token": token, "name": "shop"}), None).id


def certificate(app: Flask, certificate_id: int) -> Certificate:
    """The row as it is now, readable outside of a context."""
    with app.app_context():
        found = db.session.get_one(Certificate, certificate_id)
        db.session.expunge(found)
        return found


def credential(app: Flask, credential_id: int) -> DnsCredential:
    """The row as it is now, readable outside of a context."""
    with app.app_context():
        found = db.session.get_one(DnsCredential, credential_id)
        db.session.expunge(found)
        return found
