"""Between the wire's messages and the values of the certificates' engine.
May import: protos, agent.acme, agent.dns, agent.handlers.job."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

from agent.acme.engine import Job as RunJob
from agent.acme.engine import Wish
from agent.acme.outcome import Outcome, Status
from agent.acme.spec import Authority, CertificateSpec, Challenge, Failure, Finding, KeyType, Level
from agent.acme.state import Source
from agent.dns.credential import DnsCredential
from agent.dns.spec import DnsProviderInfo
from agent.errors import AgentError
from agent.handlers.job import Job
from protos import command_stream_pb2 as pb

_CHALLENGES = {pb.CertificateSpec.HTTP_01: Challenge.HTTP_01, pb.CertificateSpec.DNS_01: Challenge.DNS_01}
_LEVELS = {
    Level.OK: pb.Finding.OK,
    Level.INFO: pb.Finding.INFO,
    Level.WARNING: pb.Finding.WARNING,
    Level.ERROR: pb.Finding.ERROR,
}
_SOURCES = {
    Source.ACME: pb.CertificateState.ACME,
    Source.UPLOAD: pb.CertificateState.UPLOAD,
    Source.CERTBOT: pb.CertificateState.CERTBOT,
}
MAX_DETAIL = 4096


def run_job(job: Job) -> RunJob:
    """What the engine needs of a command that runs."""
    return RunJob(job.output, job.guard, datetime.now(UTC) - timedelta(seconds=job.age), job.is_own)


def read_wish(action: pb.IssueCertificate) -> Wish:
    """Raises AgentError."""
    return Wish(read_spec(action.spec), action.dry_run, action.accept_warnings, action.host_waits)


def read_spec(spec: pb.CertificateSpec) -> CertificateSpec:
    """Raises AgentError for what this agent does not know."""
    try:
        challenge, key_type = _CHALLENGES[spec.challenge], KeyType(spec.key_type or KeyType.EC_256)
    except (KeyError, ValueError) as error:
        raise AgentError("This agent does not know this kind of key or challenge. Update the agent.") from error
    return CertificateSpec(
        name=spec.name,
        names=tuple(spec.names),
        authorities=tuple(map(_read_authority, spec.authorities)),
        challenge=challenge,
        dns=read_credential(spec.dns) if spec.HasField("dns") else None,
        key_type=key_type,
        profile=spec.profile,
        is_paused=spec.paused,
        propagation_seconds=spec.propagation_seconds,
    )


def read_credential(credential: pb.DnsCredential) -> DnsCredential:
    """The values of one account at one provider."""
    return DnsCredential(credential.id, credential.label, credential.provider, dict(credential.fields))


def _read_authority(authority: pb.AcmeAuthority) -> Authority:
    return Authority(
        id=authority.id,
        label=authority.label,
        directory_url=authority.directory_url,
        staging_directory_url=authority.staging_directory_url,
        ca_pem=authority.ca_pem.decode("ascii", "replace"),
        email=authority.email,
        eab_kid=authority.eab_kid,
        eab_hmac_key=authority.eab_hmac_key,
        is_test=authority.is_test,
        dns_server=authority.dns_server,
    )


def write_result(job: Job, kind: str, name: str, outcome: Outcome) -> pb.CommandResult:
    """The end of any command about one certificate; `kind` is the field of the result."""
    status = job.engines.certificates.status(name)
    detail = pb.CertificateResult(
        certificate=write_state(status) if status else None,
        failure=write_failure(outcome.failure, datetime.now(UTC)) if outcome.failure else None,
        failed_stage=outcome.stage if outcome.failure else "",
        findings=map(write_finding, outcome.findings),
        dry_run=outcome.is_dry_run,
        served=outcome.served,
        rolled_back=outcome.rolled_back,
        needs_confirmation=outcome.needs_confirmation,
    )
    error = outcome.failure.sentence if outcome.failure else ""
    if outcome.needs_confirmation:
        error = "Nothing was ordered. The check has warnings: look at them, and say whether to go on."
    state = pb.CommandResult.FAILED if error else pb.CommandResult.SUCCEEDED
    result = pb.CommandResult(outcome=state, error=error)
    getattr(result, kind).CopyFrom(detail)
    return result


def write_finding(finding: Finding) -> pb.Finding:
    """One answer of the check."""
    return pb.Finding(
        level=_LEVELS[finding.level],
        check=finding.check,
        subject=finding.subject,
        sentence=finding.sentence,
        next_step=finding.next_step,
        record=finding.record,
        cause=finding.cause,
    )


def write_failure(failure: Failure, at: datetime | None) -> pb.CertificateFailure:
    """Why an attempt failed."""
    return pb.CertificateFailure(
        cause=failure.cause,
        sentence=failure.sentence,
        next_step=failure.next_step,
        detail=failure.detail[:MAX_DETAIL],
        at=_stamp(at),
        retry_at=_stamp(failure.retry_at),
        url=failure.url,
        names=failure.names,
        directory_url=failure.directory_url,
    )


def write_state(status: Status) -> pb.CertificateState:
    """One certificate, as it is now."""
    memory, leaf = status.memory, status.leaf
    state = pb.CertificateState(
        name=status.name,
        source=_SOURCES[status.source],
        directory_url=status.directory_url,
        chain_path=str(status.chain_path),
        key_path=str(status.key_path),
        present=leaf is not None and not status.problem,
        problem=status.problem,
        served=status.is_served,
        paused=bool(memory.spec and memory.spec.is_paused),
        next_action=status.next_action,
        next_action_at=_stamp(status.next_action_at),
        failures=memory.failures,
        last_attempt_at=_stamp(memory.last_attempt_at),
        revoked_at=_stamp(memory.revoked_at),
    )
    if leaf:
        state.names.extend(leaf.names)
        state.serial, state.issuer, state.key_type, state.sha256 = leaf.serial, leaf.issuer, leaf.key_type, leaf.sha256
        state.not_before.FromDatetime(leaf.not_before)
        state.not_after.FromDatetime(leaf.not_after)
    if memory.window and leaf and memory.window.sha256 == leaf.sha256:
        state.window_start.FromDatetime(memory.window.start)
        state.window_end.FromDatetime(memory.window.end)
        state.window_url = memory.window.url
    if memory.failure:
        told = Failure(**{**vars(memory.failure), "retry_at": _retry_at(status)})
        state.last_failure.CopyFrom(write_failure(told, memory.failed_at))
    return state


def write_providers(providers: Iterable[DnsProviderInfo]) -> list[pb.DnsProvider]:
    """What a form must ask for."""
    return [
        pb.DnsProvider(
            id=provider.id,
            label=provider.label,
            help=provider.help,
            fields=[
                pb.DnsProviderField(
                    name=field.name, label=field.label, help=field.help, secret=field.secret, optional=field.optional
                )
                for field in provider.fields
            ],
        )
        for provider in providers
    ]


def _retry_at(status: Status) -> datetime | None:
    return status.next_action_at if status.next_action == "retry" else None


def _stamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp
