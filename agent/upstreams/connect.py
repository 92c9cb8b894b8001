"""One try to reach an address: a TCP connection, and a TLS handshake where that is wanted.
May import: agent.output, agent.upstreams.upstream."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass

from agent.output import clean
from agent.upstreams.upstream import Cause

SECONDS = 3.0
HELLO_REPLY = 7  # bytes that tell a handshake from an alert, and which alert

_CAUSES = {errno.ECONNREFUSED: Cause.REFUSED, errno.ETIMEDOUT: Cause.TIMEOUT}


@dataclass(frozen=True)
class Result:
    """How a try ended; None when it went well. `detail` is a half sentence."""

    cause: Cause | None = None
    detail: str = ""


def cause_of(number: int) -> Result:
    """What an error number of connect(2) means for people."""
    cause = _CAUSES.get(number, Cause.UNREACHABLE)
    return Result(cause, os.strerror(number).lower() if number and cause is Cause.UNREACHABLE else "")


def connect(addresses: Iterable[str], port: int, server_name: str | None) -> Result:
    """Tries the addresses in turn until one takes the connection; with TLS when there is a name for it ("" for none to
    send). Which certificate is shown does not matter: nginx does not ask either."""
    result = Result(Cause.UNREACHABLE, "there is no address to try")
    for address in addresses:
        result = _try(address, port, server_name)
        if result.cause is None:
            return result
    return result


def _try(address: str, port: int, server_name: str | None) -> Result:
    try:
        connection = socket.create_connection((address, port), timeout=SECONDS)
    except TimeoutError:
        return Result(Cause.TIMEOUT)
    except OSError as error:
        return cause_of(error.errno or 0)
    with connection:
        return Result() if server_name is None else _shake_hands(connection, server_name)


def _shake_hands(connection: socket.socket, server_name: str) -> Result:
    try:
        with context().wrap_socket(connection, server_hostname=server_name or None):
            return Result()
    except TimeoutError:
        return Result(Cause.TLS, "it did not answer the handshake")
    except (ssl.SSLError, ConnectionError) as error:
        return Result(Cause.TLS, reason_of(error))
    except OSError as error:
        return cause_of(error.errno or 0)


def context() -> ssl.SSLContext:
    """TLS as nginx speaks it to upstreams: from 1.2 on, without looking at the certificate."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    return made


def reason_of(error: OSError) -> str:
    """Half a sentence about a handshake that failed."""
    reason = str(getattr(error, "reason", "") or "")
    if reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"}:
        return "it does not speak TLS there"
    if isinstance(error, ConnectionError):
        return "it closed the connection during the handshake"
    return clean(reason.lower().replace("_", " ") or "the handshake failed")


def client_hello(server_name: str) -> bytes:
    """The first bytes of a handshake, for somebody else to send."""
    outgoing = ssl.MemoryBIO()
    try:
        context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=server_name or None).do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("a handshake cannot end without an answer")


def read_reply(reply: bytes) -> Result:
    """What the first bytes of the answer tell (RFC 8446, section 5.1: 22 is a handshake, 21 an alert)."""
    if reply[:1] == b"\x16":
        return Result()
    if reply[:1] == b"\x15" and len(reply) >= HELLO_REPLY:
        return Result(Cause.TLS, f"it refused the handshake with alert {reply[6]}")
    return Result(
        Cause.TLS, "it does not speak TLS there" if reply else "it closed the connection during the handshake"
    )
