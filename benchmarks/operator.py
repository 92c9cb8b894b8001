"""An operator without a browser: logs in and posts the panel's own forms, as fast as a script can.
May import: the standard library and tests.product."""

from __future__ import annotations

import http.client
import re
from html import unescape
from urllib.parse import urlencode, urlsplit

from tests.product import Product

NAME, PASSWORD = "ada", "four words in a row"
_INPUT = re.compile(r'<input[^>]*name="(\w+)"[^>]*?value="([^"]*)"')


class Operator:
    """One session of the administrator on one kept-alive connection."""

    def __init__(self, product: Product) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", product.ports["PANEL_PORT"], timeout=60)
        self._cookies: dict[str, str] = {}
        self._hidden: dict[str, str] = {}

    def __enter__(self) -> Operator:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    @property
    def cookie(self) -> str:
        """The header that makes somebody else's request one of this session."""
        return "; ".join(f"{name}={value}" for name, value in self._cookies.items())

    def set_up(self, link: str) -> None:
        """Makes the administrator, who is logged in by that."""
        parts = urlsplit(link)
        self.open(f"{parts.path}?{parts.query}")
        self.post("/setup", username=NAME, password=PASSWORD, repeat=PASSWORD)

    def log_in(self) -> None:
        """A session of the administrator that set_up() of another operator has made."""
        self.open("/login")
        self.post("/login", username=NAME, password=PASSWORD)

    def open(self, address: str) -> str:
        """GET; remembers the hidden fields of the page's forms, the CSRF token among them."""
        status, body, _ = self._send("GET", address, None)
        if status in {301, 302, 303}:
            return ""
        self._hidden = {name: unescape(value) for name, value in _INPUT.findall(body)}
        return body

    def post(self, address: str, **fields: str | int) -> str:
        """POST with the hidden fields of the page opened last; where it redirects to. Raises when it was refused."""
        status, body, location = self._send("POST", address, {**self._hidden, **fields})
        if status not in {302, 303}:
            raise RuntimeError(f"POST {address} was answered {status}: {re.sub('<[^>]*>', ' ', body)[:2000]}")
        return urlsplit(location).path

    def save_host(self, address: str, agent_id: str, name: str, port: int, then: str) -> str:
        """Saves one host of an agent with the upstream 127.0.0.1:port. `then` is "save" or "apply"."""
        return self.post(
            address,
            agent_id=agent_id,
            domain_names=name,
            forward_scheme="http",
            forward_host="127.0.0.1",
            forward_port=port,
            websocket="y",
            is_enabled="y",
            notes="",
            then=then,
        )

    def _send(self, method: str, address: str, fields: dict[str, str | int] | None) -> tuple[int, str, str]:
        """Status, body and Location. Raises OSError or HTTPException when the panel does not answer; try again then."""
        try:
            return self._exchange(method, address, fields)
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise

    def _exchange(self, method: str, address: str, fields: dict[str, str | int] | None) -> tuple[int, str, str]:
        headers = {"Cookie": self.cookie}
        if fields is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self._connection.request(method, address, urlencode(fields) if fields is not None else None, headers)
        response = self._connection.getresponse()
        body = response.read().decode()
        for cookie in response.headers.get_all("Set-Cookie") or []:
            name, _, rest = cookie.partition("=")
            self._cookies[name] = rest.partition(";")[0]
        return response.status, body, response.headers.get("Location", "")
