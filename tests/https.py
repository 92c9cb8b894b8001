"""What a browser that trusts the test authority gets from a product by HTTPS.
May import: tests.product."""

from __future__ import annotations

import http.client
import ssl
import urllib.request

from tests.product import Product


class Connection(http.client.HTTPSConnection):
    """HTTPS to this machine, whatever DNS says of the name."""

    def __init__(self, name: str, port: int, context: ssl.SSLContext) -> None:
        super().__init__(name, port, context=context, timeout=10)
        self._trusting = context

    def connect(self) -> None:
        """To the loopback address, with the name in SNI."""
        plain = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        plain.connect()
        self.sock = self._trusting.wrap_socket(plain.sock, server_hostname=self.host)


def ask_tls(product: Product, name: str) -> tuple[str, bytes]:
    """The body of https://name/ and the certificate. Raises OSError when it is not to be trusted."""
    port = product.ports["PEBBLE_MANAGEMENT_PORT"]
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # Pebble's own door, to fetch its root
    with urllib.request.urlopen(f"https://127.0.0.1:{port}/roots/0", context=context) as answer:
        root = answer.read().decode()
    trusting = ssl.create_default_context(cadata=root)
    connection = Connection(name, product.ports["AGENT_HTTPS_PORT"], trusting)
    try:
        connection.request("GET", "/")
        body = connection.getresponse().read().decode()
        leaf = connection.sock.getpeercert(binary_form=True)
    finally:
        connection.close()
    return body, leaf or b""
