"""A TLS handshake with the nginx beside this agent: which certificate do visitors get?
May import: the standard library only."""

from __future__ import annotations

import hashlib
import socket
import ssl

SECONDS = 5.0


def served_sha256(address: str, port: int, server_name: str) -> str:
    """The fingerprint of the certificate that is served under a name, hex; empty when no handshake came about. Whether
    it is trusted does not matter here: nothing is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((address, port), timeout=SECONDS) as connection,
            context.wrap_socket(connection, server_hostname=server_name) as secured,
        ):
            der = secured.getpeercert(binary_form=True) or b""
    except OSError:
        return ""
    return hashlib.sha256(der).hexdigest() if der else ""
