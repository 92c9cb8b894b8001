"""What is read from a certificate, and what must hold before one is used.
May import: agent.acme.{spec,x509}."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import import_module
from types import ModuleType
from typing import cast

from agent.acme.spec import KeyType

# Authorities set the start back by an hour for clocks that are slow; no more than that is put up with.
_SKEW = timedelta(hours=1)


@dataclass(frozen=True)
class Leaf:
    """One certificate. `names` are A-labels and addresses, `serial` and `sha256` are hex, times are UTC."""

    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    serial: str
    issuer: str
    key_type: str
    sha256: str

    @property
    def lifetime(self) -> timedelta:
        """From its first to its last moment."""
        return self.not_after - self.not_before


@dataclass(frozen=True)
class Material:
    """A certificate with what belongs to it, as PEM. `chain_pem` is what comes after the leaf."""

    leaf_pem: str
    chain_pem: str
    key_pem: str

    @property
    def fullchain_pem(self) -> str:
        """What nginx reads: leaf first."""
        return _line(self.leaf_pem) + _line(self.chain_pem)

    def __repr__(self) -> str:
        return "Material(…)"


def read_leaf(pem: str) -> Leaf:
    """The first certificate of a PEM text. Raises ValueError."""
    return cast("Leaf", _crypto().read_leaf(pem))


def make_key(key_type: KeyType) -> str:
    """A new key as PEM (PKCS #8). RSA takes up to seconds."""
    return cast("str", _crypto().make_key(key_type))


def split(fullchain_pem: str, key_pem: str) -> Material:
    """The parts of a chain whose leaf comes first. Raises ValueError."""
    leaf, chain = cast("tuple[str, str]", _crypto().split(fullchain_pem))
    return Material(leaf, chain, key_pem)


def find_mismatch(fullchain_pem: str, key_pem: str) -> str:
    """Why key and certificates do not go together; empty when they do."""
    return cast("str", _crypto().find_mismatch(fullchain_pem, key_pem))


def find_fault(material: Material, names: tuple[str, ...], now: datetime) -> str:
    """Why a certificate must not be used, as a sentence; empty when all is well. `names` are those that were asked
    for, or none when any will do."""
    if mismatch := find_mismatch(material.fullchain_pem, material.key_pem):
        return mismatch
    leaf = read_leaf(material.leaf_pem)
    if names and set(leaf.names) != set(names):
        return f"The certificate is for {', '.join(leaf.names)} and not for {', '.join(names)}."
    if leaf.not_before > now + _SKEW:
        return (
            f"The certificate is not valid before {leaf.not_before:%Y-%m-%d %H:%M} UTC. Is this machine's clock right?"
        )
    if leaf.not_after <= now:
        return f"The certificate ended on {leaf.not_after:%Y-%m-%d %H:%M} UTC."
    return ""


def _line(pem: str) -> str:
    return pem.strip() + "\n" if pem.strip() else ""


def _crypto() -> ModuleType:
    """Ten megabytes that an agent without a certificate never needs."""
    return import_module("agent.acme.x509")
