"""What a provider is: its fields, and how it adds, reads and removes TXT values. Importing it costs nothing.
May import: agent.dns.{http,spec}, agent.errors, agent.output."""

from __future__ import annotations

import importlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from agent.dns.spec import DnsFailure, DnsProviderInfo, Guard, TxtRecord
from agent.output import Output

if TYPE_CHECKING:
    from agent.dns.http import Answer, Api

# How long resolvers may keep a challenge, in seconds: short, because a stale one is all that it could be.
TTL = 60
PATIENCE = 600.0

_locks: dict[tuple[str, str], threading.Lock] = {}
_locks_lock = threading.Lock()


@dataclass(frozen=True)
class Job:
    """What a provider works with: checked values, where to tell, and until when.

    `settle`: a change is over when the provider's own name servers have it, where it tells.
    """

    values: Mapping[str, str] = field(repr=False)
    output: Output
    guard: Guard
    settle: bool = True


class Provider(ABC):
    """One way into somebody's DNS. Names come without final dot; `zone` is the zone that holds the name.

    A provider raises DnsFailure, or what its guard raises. An answer of another shape than expected may raise
    LookupError, TypeError, ValueError or AttributeError: that becomes a DnsFailure here.
    """

    info: ClassVar[DnsProviderInfo]
    # Whether it must be told the zone, can read values back, and whether a value is gone after `remove`.
    needs_zone: ClassVar[bool] = True
    can_read: ClassVar[bool] = True
    can_remove: ClassVar[bool] = True
    # How many values of one name it keeps; 0 for any number.
    most_values: ClassVar[int] = 0
    # Seconds to wait for its name servers; None leaves it to the guard.
    patience: ClassVar[float | None] = PATIENCE

    def __init__(self, job: Job, info: DnsProviderInfo) -> None:
        self.job = job
        self.offer = info

    @classmethod
    def offers(cls) -> list[DnsProviderInfo]:
        """What this class offers: itself, or many."""
        return [cls.info]

    @classmethod
    def find(cls, provider_id: str) -> DnsProviderInfo | None:
        """Its offer of this id; cheap, so that no list is made to find one."""
        return cls.info if cls.info.id == provider_id else None

    def add(self, zone: str, record: TxtRecord) -> None:
        """Adds the value beside those that are there. Nothing happens when it is there already."""
        with self._understood(), _turn(self.offer.id, zone):
            self._add(zone, record)

    def remove(self, zone: str, record: TxtRecord) -> None:
        """Removes this value only. Nothing happens when it is gone already."""
        with self._understood(), _turn(self.offer.id, zone):
            self._remove(zone, record)

    def values(self, zone: str, name: str) -> list[str]:
        """The TXT values at a name, as the provider has them."""
        with self._understood():
            return self._values(zone, name)

    def zones(self) -> list[str]:
        """The zones that the credential may edit; empty where the provider does not tell."""
        with self._understood():
            return [zone.rstrip(".").lower() for zone in self._zones()]

    @abstractmethod
    def _add(self, zone: str, record: TxtRecord) -> None: ...

    @abstractmethod
    def _remove(self, zone: str, record: TxtRecord) -> None: ...

    def _values(self, _zone: str, _name: str) -> list[str]:
        return []

    def _zones(self) -> list[str]:
        return []

    def missing(self, zone: str, detail: str = "") -> DnsFailure:
        """The credential is fine and does not reach the zone."""
        if "." not in zone:
            # What is found above a domain that does not exist.
            sentence = f"No zone of your own was found, only {zone}."
            return DnsFailure("dns_broken", sentence, "Look whether the domain is registered and delegated.", detail)
        sentence = f"{self.offer.label} accepts the credential, but it does not reach zone {zone}."
        return DnsFailure("dns_credential", sentence, self.offer.help, detail)

    @contextmanager
    def _understood(self) -> Iterator[None]:
        try:
            yield
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            sentence = f"{self.offer.label} gave an answer that the agent does not understand."
            raise DnsFailure("dns_provider", sentence, "Try again later.", type(error).__name__) from error


class HttpProvider(Provider):
    """A provider with an API of JSON over HTTPS."""

    base_url: ClassVar[str]

    def __init__(self, job: Job, info: DnsProviderInfo, base_url: str = "") -> None:
        """`base_url` is for tests: the API somewhere else."""
        super().__init__(job, info)
        # requests is 19 MiB that an agent without DNS credentials never needs.
        http = importlib.import_module("agent.dns.http")
        secrets = tuple(job.values.get(field.name, "") for field in info.fields if field.secret)
        self.api: Api = http.Api(info.label, base_url or self._url(), self._headers(), secrets, job.guard)

    def _url(self) -> str:
        return self.base_url

    def _headers(self) -> dict[str, str]:
        """What shows who is asking."""
        return {}

    def refusal(self, answer: Answer, zone: str) -> DnsFailure:
        """What an answer that is no success means. 401 is about the credential itself, 403 about its rights."""
        label, detail = self.offer.label, answer.detail
        if answer.status == 401:
            return DnsFailure("dns_credential", f"{label} does not accept the credential.", self.offer.help, detail)
        if answer.status == 403:
            sentence = f"The credential is valid but may not edit zone {zone}."
            return DnsFailure("dns_credential", sentence, self.offer.help, detail)
        if answer.status == 429:
            return DnsFailure("dns_provider", f"{label} has had too many requests.", "Try again later.", detail)
        if answer.status >= 500:
            return DnsFailure("dns_provider", f"{label} is out of order.", "Try again later.", detail)
        sentence = f"{label} refuses to change zone {zone} (HTTP {answer.status})."
        return DnsFailure("dns_provider", sentence, "Read its own words in the details.", detail)


def relative(name: str, zone: str) -> str:
    """The name within the zone; empty for the zone itself. Raises ValueError for a name outside."""
    if name == zone:
        return ""
    if not name.endswith("." + zone):
        raise ValueError(name)
    return name[: -len(zone) - 1]


def unquoted(text: str) -> str:
    """A TXT value from its presentation form: quoted strings of at most 255 characters, joined."""
    if not text.startswith('"'):
        return text
    return "".join(text.strip('"').split('" "'))


@contextmanager
def _turn(provider_id: str, zone: str) -> Iterator[None]:
    """One change of a zone at a time: some APIs can only replace all values of a name."""
    with _locks_lock:
        lock = _locks.setdefault((provider_id, zone), threading.Lock())
    with lock:
        yield
