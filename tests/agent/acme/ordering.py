"""An agent's engine for orders, as tests use it: a real Pebble, a webroot that is served, and everything remembered.
May import: agent, tests.pebble, cryptography."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from agent.acme.order import Authorities, OrderRequest
from agent.acme.spec import AcmeFailure, Authority, CertificateSpec, Failure, Issued
from agent.nginx.guard import Guard
from agent.output import Output, OutputLine
from tests.challtestsrv import Challtestsrv
from tests.pebble import Pebble, Webroot, running_challtestsrv, running_pebble, running_webroot


@dataclass
class Log:
    """Remembers the address of the order as the agent's store does."""

    urls: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.urls[-1] if self.urls else ""

    def order_made(self, url: str) -> None:
        self.urls.append(url)


def authority_of(pebble: Pebble, **changes: Any) -> Authority:
    """The test authority as the panel would describe it."""
    known = Authority(
        "1",
        "Test authority",
        pebble.directory_url,
        ca_pem=pebble.ca_pem,
        is_test=True,
        dns_server=pebble.dns_server,
    )
    return replace(known, **changes)


def new_key(size: int = 0, curve: ec.EllipticCurve | None = None) -> str:
    """A certificate's key, PKCS #8 PEM: P-256, or RSA of so many bits."""
    key = rsa.generate_private_key(65537, size) if size else ec.generate_private_key(curve or ec.SECP256R1())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@dataclass
class Place:
    """An authority and an agent beside it."""

    pebble: Pebble
    dns: Challtestsrv
    webroot: Webroot
    folder: Path
    authorities: Authorities
    log: Log = field(default_factory=Log)
    lines: list[OutputLine] = field(default_factory=list)

    def request(self, *names: str, key: str = "", **values: Any) -> OrderRequest:
        """An order for these names; `values` are of OrderRequest, CertificateSpec or Authority."""
        authority = values.pop("authority", None) or authority_of(self.pebble)
        order = {name: values.pop(name) for name in ("staging", "order_url", "replaces_pem") if name in values}
        spec = CertificateSpec(name=names[0], names=names, authorities=(authority,), **values)
        return OrderRequest(spec, authority, key or new_key(), **order)

    def obtain(self, request: OrderRequest, guard: Guard | None = None) -> Issued:
        """Runs one order to its end."""
        output = Output("c1", None, lambda _: None)
        try:
            return self.authorities.obtain(request, self.log, output, guard or Guard(time.monotonic() + 60))
        finally:
            self.lines += output.take()

    def issue(self, *names: str, **values: Any) -> Issued:
        """The certificate for these names."""
        return self.obtain(self.request(*names, **values))

    def refusal(self, request: OrderRequest) -> Failure:
        """Why there is no certificate."""
        try:
            self.obtain(request)
        except AcmeFailure as failed:
            self.stage = failed.stage
            return failed.failure
        raise AssertionError("it was issued")

    @property
    def text(self) -> str:
        """What a person reads."""
        return "\n".join(f"{line.stage} {line.level}: {line.text}" for line in self.lines)

    @property
    def stages(self) -> list[str]:
        """The stages in the order in which they began."""
        return [line.stage for line in self.lines if line.level == "stage"]

    def tokens(self) -> list[Path]:
        """Token files that stand in the webroot."""
        return sorted((self.webroot.folder / ".well-known" / "acme-challenge").glob("*"))

    def again(self) -> Place:
        """The same agent after a restart: it knows what is on disk, and nothing else."""
        engine = Authorities(self.folder / "acme", self.webroot.folder, "waypost-tests")
        return replace(self, authorities=engine, log=Log(list(self.log.urls)), lines=[])


@contextmanager
def running_place(folder: Path, **settings: Any) -> Iterator[Place]:
    """Everything inside the block; `settings` are those of running_pebble."""
    with (
        running_challtestsrv() as dns,
        running_webroot(folder / "webroot") as webroot,
        running_pebble(folder / "pebble", http_port=webroot.port, dns_server=dns.dns_server, **settings) as pebble,
    ):
        yield Place(pebble, dns, webroot, folder, Authorities(folder / "acme", folder / "webroot", "waypost-tests"))


def leaf_of(issued: Issued) -> x509.Certificate:
    return x509.load_pem_x509_certificate(issued.leaf_pem.encode())


def names_of(issued: Issued) -> set[str]:
    found = leaf_of(issued).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))}


def at_once(count: int, work: Any) -> list[Any]:
    """Results of so many threads that start together; exceptions are results too."""
    results, gate = dict[int, Any](), threading.Barrier(count)

    def run(number: int) -> None:
        gate.wait()
        try:
            results[number] = work(number)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            results[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    return [results[number] for number in range(count)]
