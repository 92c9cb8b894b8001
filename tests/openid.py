"""A real OpenID provider: Glewlwyd of Debian, on a port and a folder of its own, with people of its own.
May import: requests, cryptography, tests.product."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.product import free_ports, wait_until

PROGRAM = Path("/usr/bin/glewlwyd")
TABLES = Path("/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3")
CLIENT_ID, CLIENT_SECRET = "waypost", "the-secret-of-the-panel"
PASSWORD = "a password at the provider"
_CONFIG = """
port={port}
bind_address="127.0.0.1"
external_url="http://127.0.0.1:{port}"
login_url="login.html"
api_prefix="api"
log_mode="console"
log_level="WARNING"
user_module_path="/usr/lib/glewlwyd/user"
client_module_path="/usr/lib/glewlwyd/client"
user_auth_scheme_module_path="/usr/lib/glewlwyd/scheme"
plugin_module_path="/usr/lib/glewlwyd/plugin"
hash_algorithm="SHA512"
database = {{ type = "sqlite3" path = "{folder}/glewlwyd.sqlite3" }};
"""
_ROLE_FIELD = """UPDATE g_user_module_instance SET gumi_parameters = json_set(gumi_parameters,
    '$."data-format".waypost_role', json('{"multiple": false, "read": true, "write": true}'))"""
_CLAIMS = [
    {"name": "preferred_username", "user-property": "username", "type": "string", "mandatory": True, "scope": []},
    {"name": "waypost_role", "user-property": "waypost_role", "type": "string", "mandatory": True, "scope": []},
]


@dataclass
class OpenIdProvider:
    """What tests ask of the provider."""

    root: str
    admin: requests.Session

    @property
    def issuer(self) -> str:
        """As the panel's setting names it."""
        return f"{self.root}/api/oidc"

    def add_person(self, username: str, role: str = "") -> None:
        """Somebody who can log in there. `role` is the value of the claim waypost_role."""
        person = {"username": username, "name": username.title(), "email": f"{username}@example.com"}
        more = {"password": PASSWORD, "enabled": True, "scope": ["g_profile", "openid"], "waypost_role": role}
        self._post("user/", {**person, **more})

    def approve(self, url: str, username: str) -> str:
        """What a browser does there: logs in, agrees, and comes back. The address that it is sent back to."""
        with requests.Session() as browser:
            login = {"username": username, "password": PASSWORD}
            browser.post(f"{self.root}/api/auth/", json=login, timeout=10).raise_for_status()
            browser.put(
                f"{self.root}/api/auth/grant/{CLIENT_ID}", json={"scope": "openid"}, timeout=10
            ).raise_for_status()
            answer = browser.get(url, allow_redirects=False, timeout=10)
            address = answer.headers["Location"]
            if "login.html" in address:  # where its page would ask; everything is answered already
                answer = browser.get(f"{url}&g_continue", allow_redirects=False, timeout=10)
                address = answer.headers["Location"]
            return address

    def set_up(self, redirect_url: str) -> None:
        """The plugin that speaks OpenID Connect, the claims, and the panel as its client."""
        self._post("auth/", {"username": "admin", "password": "password"})
        self._post(
            "mod/plugin/", {"module": "oidc", "name": "oidc", "display_name": "oidc", "parameters": self._oidc()}
        )
        client = {"client_id": CLIENT_ID, "name": "Waypost", "enabled": True, "confidential": True}
        secret = {"client_secret": CLIENT_SECRET, "token_endpoint_auth_method": ["client_secret_basic"]}
        uses = {"redirect_uri": [redirect_url], "authorization_type": ["code"], "scope": []}
        self._post("client/", {**client, **secret, **uses})

    def _oidc(self) -> dict[str, Any]:
        key = rsa.generate_private_key(65537, 2048)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        flows = dict.fromkeys(("token", "none", "password", "client", "refresh"), False)
        return {
            "iss": self.issuer,
            "jwt-type": "rsa",
            "jwt-key-size": "256",
            "key": private.decode(),
            "cert": public.decode(),
            "access-token-duration": 3600,
            "refresh-token-duration": 3600,
            "code-duration": 600,
            "allow-non-oidc": False,
            "auth-type-code-enabled": True,
            "auth-type-id-token-enabled": True,
            **{f"auth-type-{flow}-enabled": value for flow, value in flows.items()},
            "scope": [],
            "additional-parameters": [],
            "claims": _CLAIMS,
            "name-claim": "mandatory",
            "email-claim": "mandatory",
            "subject-type": "public",
            "jwks-show": True,
            "pkce-allowed": True,
            "pkce-required": True,
            "pkce-method-plain-allowed": False,
            "request-parameter-allow": False,
        }

    def _post(self, path: str, values: dict[str, Any]) -> None:
        answer = self.admin.post(f"{self.root}/api/{path}", json=values, timeout=10)
        assert answer.status_code == 200, (path, answer.status_code, answer.text)


@contextmanager
def running_openid_provider(folder: Path, redirect_url: str) -> Iterator[OpenIdProvider]:
    """Glewlwyd with the panel as its client."""
    [port] = free_ports(1)
    with closing(sqlite3.connect(folder / "glewlwyd.sqlite3")) as connection:
        connection.executescript(TABLES.read_text())
        connection.execute(_ROLE_FIELD)
        connection.commit()
    config = folder / "glewlwyd.conf"
    config.write_text(_CONFIG.format(port=port, folder=folder))
    with (folder / "glewlwyd.log").open("w") as log:
        process = subprocess.Popen([str(PROGRAM), f"--config-file={config}"], stdout=log, stderr=log)
    try:
        with requests.Session() as admin:
            provider = OpenIdProvider(f"http://127.0.0.1:{port}", admin)
            wait_until(lambda: _answers(provider.root), "the provider's start")
            provider.set_up(redirect_url)
            yield provider
    finally:
        process.terminate()
        process.wait(timeout=10)


def _answers(root: str) -> bool:
    try:
        return requests.get(f"{root}/config", timeout=2).ok
    except requests.ConnectionError:
        return False
