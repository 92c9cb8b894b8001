"""What the agent remembers of each certificate, and its form on disk.
May import: agent.acme.spec, agent.dns.credential."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from agent.acme.spec import Authority, CertificateSpec, Challenge, Failure, KeyType
from agent.dns.credential import DnsCredential


class Source(StrEnum):
    """Where a certificate is from; as CertificateState.Source in the contract."""

    ACME = "acme"
    UPLOAD = "upload"
    CERTBOT = "certbot"


@dataclass(frozen=True)
class Order:
    """An order under way, so that it goes on after a crash (RFC 8555, section 7.4). `key_pem` is the certificate's; the
    kind of key and the profile are those of the spec that it was made by. `url` is empty before the authority has it,
    and when it was of no use: then only the key is left."""

    directory_url: str
    url: str
    names: tuple[str, ...]
    key_pem: str = field(repr=False)
    staging: bool = False
    key_type: str = ""
    profile: str = ""


@dataclass(frozen=True)
class Window:
    """Renewal information (RFC 9773) of the certificate with the fingerprint `sha256`, and the moment in it that was
    chosen once."""

    sha256: str
    start: datetime
    end: datetime
    chosen: datetime
    url: str = ""


@dataclass(frozen=True)
class Install:
    """A switch of links under way, written before it begins. `phase` is "switch" or "back"."""

    version: int
    previous: int
    phase: str


@dataclass(frozen=True)
class Memory:
    """All of one certificate. Times are UTC; `failures` counts attempts in a row, `refusals` those in which the
    authority's production directory was asked. `served` is the fingerprint that a handshake saw last."""

    name: str
    source: Source = Source.ACME
    spec: CertificateSpec | None = None
    order: Order | None = None
    window: Window | None = None
    install: Install | None = None
    asked_at: datetime | None = None
    ask_at: datetime | None = None
    failures: int = 0
    refusals: int = 0
    failure: Failure | None = None
    failed_at: datetime | None = None
    last_attempt_at: datetime | None = None
    issued_at: datetime | None = None
    directory_url: str = ""
    served: str = ""
    revoked_at: datetime | None = None

    @property
    def is_ordered(self) -> bool:
        """Whether the authority has an order under way that can be gone on with."""
        return self.order is not None and bool(self.order.url)


def changes_between(old: Memory, new: Memory) -> dict[str, Any]:
    """The fields that differ, as they are in `new`."""
    return {
        each.name: getattr(new, each.name)
        for each in fields(Memory)
        if getattr(old, each.name) != getattr(new, each.name)
    }


def write_memory(memory: Memory) -> str:
    """As JSON."""
    return json.dumps(asdict(memory), default=_plain)


def read_memory(text: str) -> Memory:
    """Raises ValueError, KeyError or TypeError for what is not one. What a newer agent added is left out."""
    data = _known(Memory, json.loads(text))
    data["source"] = Source(data["source"])
    data["spec"] = read_spec(data["spec"]) if data.get("spec") else None
    data["order"] = _read_order(data["order"]) if data.get("order") else None
    data["window"] = Window(**_times(_known(Window, data["window"]))) if data.get("window") else None
    data["install"] = Install(**_known(Install, data["install"])) if data.get("install") else None
    data["failure"] = _read_failure(data["failure"]) if data.get("failure") else None
    return Memory(**_times(data))


def read_spec(data: Mapping[str, Any]) -> CertificateSpec:
    """A spec from what `asdict` made of it."""
    values = _known(CertificateSpec, data)
    values["names"] = tuple(values["names"])
    values["authorities"] = tuple(Authority(**_known(Authority, each)) for each in values["authorities"])
    values["challenge"], values["key_type"] = Challenge(values["challenge"]), KeyType(values["key_type"])
    values["dns"] = DnsCredential(**_known(DnsCredential, values["dns"])) if values["dns"] else None
    return CertificateSpec(**values)


def _read_order(data: Mapping[str, Any]) -> Order:
    values = _known(Order, data)
    return Order(**{**values, "names": tuple(values["names"])})


def _read_failure(data: Mapping[str, Any]) -> Failure:
    values = _times(_known(Failure, data))
    return Failure(**{**values, "names": tuple(values["names"])})


def _known(kind: type, data: Mapping[str, Any]) -> dict[str, Any]:
    names = {each.name for each in fields(kind)}
    return {key: value for key, value in data.items() if key in names}


_TIMES = frozenset(
    {
        "start",
        "end",
        "chosen",
        "asked_at",
        "ask_at",
        "failed_at",
        "last_attempt_at",
        "issued_at",
        "revoked_at",
        "retry_at",
    }
)


def _times(data: dict[str, Any]) -> dict[str, Any]:
    return {
        key: datetime.fromtimestamp(value, UTC) if key in _TIMES and value is not None else value
        for key, value in data.items()
    }


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no form on disk")
