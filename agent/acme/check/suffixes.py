"""The public suffix list: under which endings everybody registers names, and which domain a name belongs to.
May import: publicsuffixlist."""

from __future__ import annotations

from functools import lru_cache

from publicsuffixlist import PublicSuffixList


def public_suffix(name: str) -> str:
    """The ending of a registry ("co.uk"); empty when the list has none, as for private names."""
    return _registries().publicsuffix(name) or ""


def is_public_suffix(name: str) -> bool:
    """Whether the name is such an ending itself. Endings of companies ("github.io") are not meant: their owners may
    have certificates for them."""
    return bool(_registries().is_public(name))


def registered_domain(name: str) -> str:
    """The domain that counts against an authority's limits: one label below the ending, endings of companies included
    (as Let's Encrypt counts). The name itself when there is none."""
    return _everybody().privatesuffix(name) or name


@lru_cache(maxsize=1)
def _registries() -> PublicSuffixList:
    return PublicSuffixList(accept_unknown=False, only_icann=True)


@lru_cache(maxsize=1)
def _everybody() -> PublicSuffixList:
    return PublicSuffixList(accept_unknown=False)
