"""What an agent needs for a command about certificates, secrets included: made when it is sent, and kept nowhere.
May import: panel.services.{authorities,certificate_links,certificate_specs,context,dns_credentials}, panel.models …"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from panel.errors import Conflict
from panel.extensions import db
from panel.i18n import gettext as _
from panel.i18n import mark
from panel.models import AcmeAuthority, Certificate, Challenge, Command, DnsCredential, UploadedKey
from panel.services import authorities, certificate_links, context, dns_credentials
from panel.services.certificate_specs import CertificateSpec, spec_of

_GONE = mark("This certificate was deleted before the job was sent. Nothing was sent.")


@dataclass(frozen=True)
class AgentAuthority:
    """As AcmeAuthority in the contract."""

    id: str
    label: str
    directory_url: str
    staging_directory_url: str
    ca_pem: str
    email: str
    eab_kid: str
    eab_hmac_key: str = field(repr=False)
    is_test: bool
    dns_server: str


@dataclass(frozen=True)
class AgentCredential:
    """As DnsCredential in the contract."""

    id: str
    label: str
    provider: str
    fields: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class AgentSpec:
    """As CertificateSpec in the contract."""

    name: str
    names: tuple[str, ...]
    authorities: tuple[AgentAuthority, ...]
    challenge: Challenge
    dns: AgentCredential | None
    key_type: str
    profile: str
    is_paused: bool
    propagation_seconds: int


@dataclass(frozen=True)
class AgentUpload:
    """As InstallCertificate in the contract."""

    name: str
    fullchain_pem: str
    key_pem: str = field(repr=False)
    host_waits: bool


def certificate_of(command: Command) -> Certificate:
    """The certificate that the command is about. Raises Conflict when it was deleted meanwhile."""
    certificate = db.session.get(Certificate, command.certificate_id or 0)
    if certificate is None:
        raise Conflict(_GONE)
    return certificate


def spec_for(command: Command) -> AgentSpec:
    """The spec as it is saved now, or for a question the one that was asked about.

    Raises Conflict when something that it needs was deleted, VaultError when a secret cannot be opened.
    """
    asked: dict[str, Any] | None = command.payload.get("spec")
    if asked is not None:
        spec = CertificateSpec(**{**asked, "domain_names": tuple(asked["domain_names"])})
        return _render(command.payload["name"], spec, is_paused=False)
    certificate = certificate_of(command)
    return _render(certificate.name, spec_of(certificate), is_paused=certificate.is_paused)


def credential_for(command: Command) -> AgentCredential:
    """The DNS credential that a test is about. Raises Conflict when it was deleted meanwhile."""
    return _credential(command.payload.get("dns_credential_id"))


def upload_for(command: Command) -> AgentUpload:
    """The upload with its key. Raises Conflict when the certificate or the key is gone."""
    certificate = certificate_of(command)
    key = db.session.get(UploadedKey, command.id)
    if key is None:
        raise Conflict(_("The key of this upload is not there any more. Upload the certificate and its key again."))
    return AgentUpload(
        certificate.name,
        command.payload["fullchain_pem"],
        context.vault().open(key.sealed_key),
        certificate_links.is_awaited(certificate),
    )


def _render(name: str, spec: CertificateSpec, *, is_paused: bool) -> AgentSpec:
    authority = db.session.get(AcmeAuthority, spec.authority_id or 0)
    if authority is None or not authority.directory_url:
        raise Conflict(_("The authority of this certificate is not there any more. Choose another one for it."))
    is_by_dns = spec.challenge == Challenge.DNS_01
    return AgentSpec(
        name=name,
        names=spec.domain_names,
        authorities=tuple(_authority(one) for one in authorities.order_for(authority)),
        challenge=Challenge(spec.challenge),
        dns=_credential(spec.dns_credential_id) if is_by_dns else None,
        key_type=spec.key_type,
        profile=spec.profile,
        is_paused=is_paused,
        propagation_seconds=spec.propagation_seconds,
    )


def _authority(authority: AcmeAuthority) -> AgentAuthority:
    return AgentAuthority(
        id=str(authority.id),
        label=authority.name,
        directory_url=authority.directory_url,
        staging_directory_url=authority.staging_directory_url,
        ca_pem=authority.ca_pem,
        email=authorities.email_of(authority),
        eab_kid=authority.eab_kid,
        eab_hmac_key=context.vault().open(authority.eab_key_sealed),
        is_test=authority.is_test,
        dns_server=authority.dns_server,
    )


def _credential(credential_id: int | None) -> AgentCredential:
    credential = db.session.get(DnsCredential, credential_id or 0)
    if credential is None:
        raise Conflict(_("The DNS credential of this certificate was deleted. Choose another one for it."))
    values = dns_credentials.open_values(credential)
    return AgentCredential(str(credential.id), credential.name, credential.provider, values)
