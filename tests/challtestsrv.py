"""A DNS server for tests that answers what it is told to (pebble-challtestsrv).
May import: tests.product, requests."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.product import free_ports, wait_until


@dataclass
class Challtestsrv:
    """A DNS server that answers what it is told to. `dns_server` is host:port."""

    dns_server: str
    management_url: str

    def set_default_ipv4(self, address: str) -> None:
        """The A record of every name that has none of its own; "" for none."""
        self._tell("set-default-ipv4", ip=address)

    def set_default_ipv6(self, address: str) -> None:
        """The same for AAAA."""
        self._tell("set-default-ipv6", ip=address)

    def add_a(self, host: str, *addresses: str) -> None:
        """A records of one name."""
        self._tell("add-a", host=host, addresses=list(addresses))

    def add_aaaa(self, host: str, *addresses: str) -> None:
        """AAAA records of one name."""
        self._tell("add-aaaa", host=host, addresses=list(addresses))

    def set_txt(self, host: str, value: str) -> None:
        """One more TXT record of a name, which ends with a dot."""
        self._tell("set-txt", host=host, value=value)

    def clear_txt(self, host: str) -> None:
        """Takes all TXT records of a name away."""
        self._tell("clear-txt", host=host)

    def add_caa(self, host: str, tag: str, value: str) -> None:
        """A CAA record of one name."""
        self._tell("add-caa", host=host, policies=[{"tag": tag, "value": value}])

    def set_servfail(self, host: str) -> None:
        """Every question about this name fails from now on."""
        self._tell("set-servfail", host=host)

    def clear_servfail(self, host: str) -> None:
        """And no longer."""
        self._tell("clear-servfail", host=host)

    def set_cname(self, host: str, target: str) -> None:
        """Makes one name an alias of another."""
        self._tell("set-cname", host=host, target=target)

    def _tell(self, verb: str, **values: Any) -> None:
        answer = requests.post(f"{self.management_url}/{verb}", json=values, timeout=10)
        answer.raise_for_status()


@contextmanager
def running_challtestsrv() -> Iterator[Challtestsrv]:
    """A DNS server inside the block; every name is 127.0.0.1 until it is told otherwise, and none has IPv6."""
    dns_port, management_port = free_ports(2)
    command = [str(installed("pebble-challtestsrv")), "-http01", "", "-https01", "", "-tlsalpn01", ""]
    command += ["-dns01", f"127.0.0.1:{dns_port}", "-management", f"127.0.0.1:{management_port}"]
    process = subprocess.Popen([*command, "-defaultIPv6", ""], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    server = Challtestsrv(f"127.0.0.1:{dns_port}", f"http://127.0.0.1:{management_port}")

    def answers() -> bool:
        assert process.poll() is None, "pebble-challtestsrv ended"
        try:
            server.set_default_ipv4("127.0.0.1")
        except requests.ConnectionError:
            return False
        return True

    try:
        wait_until(answers, "pebble-challtestsrv answers")
        yield server
    finally:
        process.kill()
        process.wait(10)


def installed(name: str) -> Path:
    """The program of this name; skips the test where it is not installed."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return Path(found)
