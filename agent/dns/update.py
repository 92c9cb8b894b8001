"""DNS updates (RFC 2136) and queries signed with a TSIG key (RFC 8945), over TCP. Imported late.
May import: agent.dns.{addresses,spec,texts}, dnspython."""

from __future__ import annotations

import binascii
from urllib.parse import urlsplit

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.update

from agent.dns.addresses import resolve_host
from agent.dns.spec import DnsFailure, Guard, TxtRecord
from agent.dns.texts import texts_at

SECONDS = 10.0

_ALGORITHMS = ("hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512", "hmac-sha1", "hmac-md5.sig-alg.reg.int")
_RIGHTS = "Allow the key to change TXT records of _acme-challenge names in this zone."


class Updates:
    """One primary server and the key that it knows."""

    def __init__(self, server: str, key_name: str, algorithm: str, secret: str, guard: Guard) -> None:
        """`server` is a host with or without a port. Raises DnsFailure for values that cannot be right."""
        self._server = server
        self._host, self._port = _host_and_port(server)
        self._key_name = key_name
        self._guard = guard
        wanted = "hmac-md5.sig-alg.reg.int" if algorithm.lower() == "hmac-md5" else algorithm.lower()
        if wanted not in _ALGORITHMS:
            raise DnsFailure("dns_credential", f"Algorithm: use one of {', '.join(_ALGORITHMS[:5])}.")
        try:
            binascii.a2b_base64(secret, strict_mode=True)
            self._key = dns.tsig.Key(dns.name.from_text(key_name), secret, dns.name.from_text(wanted))
        except (ValueError, dns.exception.DNSException) as error:
            sentence = "The TSIG key cannot be read: its name is spelled like a domain, and the key itself is base64."
            raise DnsFailure("dns_credential", sentence, "Copy both from the server.") from error

    def add(self, zone: str, record: TxtRecord, ttl: int) -> None:
        """Adds one value; a server ignores one that is there (RFC 2136 section 3.4.2.2)."""
        update = dns.update.UpdateMessage(zone + ".")
        update.add(record.name + ".", ttl, "TXT", f'"{record.value}"')
        self._change(update, zone)

    def delete(self, zone: str, record: TxtRecord) -> None:
        """Deletes one value and no other (RFC 2136 section 2.5.4)."""
        update = dns.update.UpdateMessage(zone + ".")
        update.delete(record.name + ".", "TXT", f'"{record.value}"')
        self._change(update, zone)

    def values(self, zone: str, name: str) -> list[str]:
        """The values that the server itself has."""
        answer = self._send(dns.message.make_query(name + ".", "TXT"), zone)
        return texts_at(answer, name)

    def _change(self, update: dns.update.UpdateMessage, zone: str) -> None:
        code = self._send(update, zone).rcode()
        if code == dns.rcode.NOERROR:
            return
        detail = dns.rcode.to_text(code)
        if code in (dns.rcode.NOTAUTH, dns.rcode.NOTZONE, dns.rcode.NOTIMP):
            sentence = f"{self._server} takes no updates of zone {zone}."
            raise DnsFailure("dns_credential", sentence, "Enter the primary server of this zone.", detail)
        if code == dns.rcode.REFUSED:
            sentence = f"{self._server} knows the key {self._key_name}, but it may not change zone {zone}."
            raise DnsFailure("dns_credential", sentence, _RIGHTS, detail)
        sentence = f"{self._server} could not change zone {zone} ({detail})."
        raise DnsFailure("dns_provider", sentence, "Look into the log of this server.", detail)

    def _send(self, message: dns.message.Message, zone: str) -> dns.message.Message:
        self._guard.check()
        message.use_tsig(self._key)
        seconds = min(SECONDS, max(1.0, self._guard.remaining()))
        try:
            return dns.query.tcp(message, resolve_host(self._host), seconds, self._port)
        except (dns.tsig.PeerBadKey, dns.tsig.PeerBadSignature, dns.tsig.BadSignature) as error:
            sentence = f"{self._server} does not accept the key {self._key_name}."
            next_step = "Correct the name, the algorithm and the key: all three must be as the server has them."
            raise DnsFailure("dns_credential", sentence, next_step, type(error).__name__) from error
        except (dns.tsig.PeerBadTime, dns.tsig.BadTime) as error:
            sentence = f"The clocks of this machine and of {self._server} differ too much for signed updates."
            raise DnsFailure("clock", sentence, "Let both follow time servers.") from error
        except (dns.exception.DNSException, OSError, EOFError) as error:
            sentence = f"{self._server} does not answer to a question about zone {zone}."
            next_step = f"Look whether this machine reaches it by TCP on port {self._port}."
            raise DnsFailure("dns_provider", sentence, next_step, str(error)) from error


def _host_and_port(server: str) -> tuple[str, int]:
    """From ns1.example.com, 192.0.2.1:53, 2001:db8::1 or [2001:db8::1]:53."""
    text = f"[{server}]" if server.count(":") > 1 and not server.startswith("[") else server
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, 53 if parts.port is None else parts.port
    except ValueError:
        host, port = None, 0
    if not host or parts.username is not None or parts.path or parts.query or parts.fragment or not port:
        raise DnsFailure("dns_credential", "Server: use a name or an address, with :port when it is not 53.")
    return host, port
