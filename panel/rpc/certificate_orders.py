"""Commands about certificates for the wire: the spec and its secrets join here, and nowhere earlier.
May import: protos, panel.services, panel.models and below."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from panel.models import Challenge, Command, CommandKind
from panel.services import agent_specs, certificate_links
from panel.services.agent_specs import AgentAuthority, AgentCredential, AgentSpec
from protos import command_stream_pb2 as pb

_CHALLENGES: Mapping[Challenge, pb.CertificateSpec.Challenge.ValueType] = {
    Challenge.HTTP_01: pb.CertificateSpec.HTTP_01,
    Challenge.DNS_01: pb.CertificateSpec.DNS_01,
}


def write(row: Command, message: pb.Command) -> None:
    """Writes the action of a command about certificates into its message.

    Raises Conflict when something that it needs was deleted meanwhile, VaultError when a secret cannot be opened.
    """
    _WRITERS[CommandKind(row.kind)](row, message)


def _issue(row: Command, message: pb.Command) -> None:
    certificate = agent_specs.certificate_of(row)
    dry_run = bool(row.payload.get("dry_run"))
    action = pb.IssueCertificate(
        spec=_spec(agent_specs.spec_for(row)),
        dry_run=dry_run,
        accept_warnings=bool(row.payload.get("accept_warnings")),
        host_waits=not dry_run and certificate_links.is_awaited(certificate),
    )
    message.issue_certificate.CopyFrom(action)


def _renew(row: Command, message: pb.Command) -> None:
    message.renew_certificate.CopyFrom(pb.RenewCertificate(name=agent_specs.certificate_of(row).name))


def _revoke(row: Command, message: pb.Command) -> None:
    action = pb.RevokeCertificate(name=agent_specs.certificate_of(row).name, reason=row.payload["reason"])
    message.revoke_certificate.CopyFrom(action)


def _install(row: Command, message: pb.Command) -> None:
    upload = agent_specs.upload_for(row)
    action = pb.InstallCertificate(
        name=upload.name,
        fullchain_pem=upload.fullchain_pem.encode(),
        key_pem=upload.key_pem.encode(),
        host_waits=upload.host_waits,
    )
    message.install_certificate.CopyFrom(action)


def _delete(row: Command, message: pb.Command) -> None:
    message.delete_certificate.CopyFrom(pb.DeleteCertificate(name=agent_specs.certificate_of(row).name))


def _configure(row: Command, message: pb.Command) -> None:
    message.configure_certificate.CopyFrom(pb.ConfigureCertificate(spec=_spec(agent_specs.spec_for(row))))


def _take_over(row: Command, message: pb.Command) -> None:
    message.take_over_certificate.CopyFrom(pb.TakeOverCertificate(spec=_spec(agent_specs.spec_for(row))))


def _check_names(row: Command, message: pb.Command) -> None:
    message.check_names.CopyFrom(pb.CheckNames(spec=_spec(agent_specs.spec_for(row))))


def _check_addresses(row: Command, message: pb.Command) -> None:
    asked = {name: row.payload[name] for name in ("names", "dns_server", "test")}
    message.check_addresses.CopyFrom(pb.CheckAddresses(**asked))


def _check_credential(row: Command, message: pb.Command) -> None:
    credential = _credential(agent_specs.credential_for(row))
    message.check_dns_credential.CopyFrom(pb.CheckDnsCredential(credential=credential, zone=row.payload["zone"]))


_WRITERS: Mapping[CommandKind, Callable[[Command, pb.Command], None]] = {
    CommandKind.ISSUE_CERTIFICATE: _issue,
    CommandKind.RENEW_CERTIFICATE: _renew,
    CommandKind.REVOKE_CERTIFICATE: _revoke,
    CommandKind.INSTALL_CERTIFICATE: _install,
    CommandKind.DELETE_CERTIFICATE: _delete,
    CommandKind.CONFIGURE_CERTIFICATE: _configure,
    CommandKind.TAKE_OVER_CERTIFICATE: _take_over,
    CommandKind.CHECK_NAMES: _check_names,
    CommandKind.CHECK_ADDRESSES: _check_addresses,
    CommandKind.CHECK_DNS_CREDENTIAL: _check_credential,
}


def _spec(spec: AgentSpec) -> pb.CertificateSpec:
    return pb.CertificateSpec(
        name=spec.name,
        names=spec.names,
        authorities=[_authority(one) for one in spec.authorities],
        challenge=_CHALLENGES[spec.challenge],
        dns=None if spec.dns is None else _credential(spec.dns),
        key_type=spec.key_type,
        profile=spec.profile,
        paused=spec.is_paused,
        propagation_seconds=spec.propagation_seconds,
    )


def _authority(authority: AgentAuthority) -> pb.AcmeAuthority:
    return pb.AcmeAuthority(
        id=authority.id,
        label=authority.label,
        directory_url=authority.directory_url,
        staging_directory_url=authority.staging_directory_url,
        ca_pem=authority.ca_pem.encode(),
        email=authority.email,
        eab_kid=authority.eab_kid,
        eab_hmac_key=authority.eab_hmac_key,
        is_test=authority.is_test,
        dns_server=authority.dns_server,
    )


def _credential(credential: AgentCredential) -> pb.DnsCredential:
    return pb.DnsCredential(
        id=credential.id, label=credential.label, provider=credential.provider, fields=dict(credential.fields)
    )
