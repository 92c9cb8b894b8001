"""Finds the providers: every module in agent.dns.providers that has one offers it by being there.
May import: agent.dns.{credential,provider,providers,spec,values}."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from functools import cache

from agent.dns import providers as _package
from agent.dns.credential import DnsCredential
from agent.dns.provider import Job, Provider
from agent.dns.spec import DnsFailure, DnsProviderInfo, Guard
from agent.dns.values import checked
from agent.output import Output


def providers() -> list[DnsProviderInfo]:
    """What this agent offers, by label. The first call may start a process that lists what dns-lexicon has."""
    return sorted((info for kind in _kinds() for info in kind.offers()), key=lambda info: info.label.lower())


def open_provider(credential: DnsCredential, output: Output, guard: Guard, *, settle: bool = True) -> Provider:
    """The provider of a credential, with its values looked at. Raises DnsFailure when it cannot be used."""
    for kind in _kinds():
        info = kind.find(credential.provider)
        if info is not None:
            return kind(Job(checked(info, credential), output, guard, settle), info)
    sentence = f"This agent does not know the DNS provider “{credential.provider}”."
    raise DnsFailure("dns_credential", sentence, "Choose another one, or install dns-lexicon beside the agent.")


@cache
def _kinds() -> tuple[type[Provider], ...]:
    names = sorted(module.name for module in pkgutil.iter_modules(_package.__path__))
    modules = [importlib.import_module(f"{_package.__name__}.{name}") for name in names]
    return tuple(kind for module in modules for _, kind in inspect.getmembers(module, _is_kind(module.__name__)))


def _is_kind(module: str) -> Callable[[object], bool]:
    """Providers that this module defines, not those that it imports."""
    return lambda thing: (
        inspect.isclass(thing)
        and issubclass(thing, Provider)
        and not inspect.isabstract(thing)
        and thing.__module__ == module
    )
