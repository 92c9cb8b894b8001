"""The words of this engine: what is to be obtained, from whom, what came of it, and why not.
May import: agent.errors, agent.dns.credential."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from agent.dns.credential import DnsCredential
from agent.errors import AgentError


class Challenge(StrEnum):
    """How the authority is shown that a name is ours (RFC 8555 section 8)."""

    HTTP_01 = "http-01"
    DNS_01 = "dns-01"


class KeyType(StrEnum):
    """The keys that a certificate can have."""

    EC_256 = "ec-256"
    EC_384 = "ec-384"
    RSA_2048 = "rsa-2048"
    RSA_3072 = "rsa-3072"
    RSA_4096 = "rsa-4096"


@dataclass(frozen=True)
class Authority:
    """One directory and what an account there needs; as AcmeAuthority in the contract."""

    id: str
    label: str
    directory_url: str
    staging_directory_url: str = ""
    ca_pem: str = ""
    email: str = ""
    eab_kid: str = ""
    eab_hmac_key: str = field(default="", repr=False)
    is_test: bool = False
    dns_server: str = ""


@dataclass(frozen=True)
class CertificateSpec:
    """What renewals follow; as CertificateSpec in the contract. `names` are A-labels or addresses."""

    name: str
    names: tuple[str, ...]
    authorities: tuple[Authority, ...]
    challenge: Challenge = Challenge.HTTP_01
    dns: DnsCredential | None = None
    key_type: KeyType = KeyType.EC_256
    profile: str = ""
    is_paused: bool = False
    propagation_seconds: int = 0


class Level(StrEnum):
    """How much a finding weighs: `error` stops, `warning` asks, the others only tell."""

    OK = "ok"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Finding:
    """One answer of the check that comes before an order; as Finding in the contract."""

    level: Level
    check: str
    sentence: str
    subject: str = ""
    next_step: str = ""
    record: str = ""
    cause: str = ""


@dataclass(frozen=True)
class Failure:
    """Why an attempt failed, in words of the table of causes; as CertificateFailure in the contract."""

    cause: str
    sentence: str
    next_step: str = ""
    detail: str = ""
    retry_at: datetime | None = None
    url: str = ""
    names: tuple[str, ...] = ()
    directory_url: str = ""


class AcmeFailure(AgentError):
    """An attempt that failed for a reason that can be named. `stage` is a stage of the output."""

    def __init__(self, failure: Failure, stage: str = "") -> None:
        super().__init__(failure.sentence)
        self.failure = failure
        self.stage = stage


@dataclass(frozen=True)
class Issued:
    """What an authority gave. `chain_pem` is what comes after the leaf."""

    leaf_pem: str
    chain_pem: str
    key_pem: str = field(repr=False)
    authority: Authority
    directory_url: str  # the one that was asked: that of the authority, or its staging
