"""Accounts at authorities: one key per directory, in files that only the agent can read.
May import: agent.acme.spec, agent.identity, josepy, cryptography."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from josepy.jwk import JWK, JWKEC

from agent.acme.spec import Authority
from agent.identity import write_private


@dataclass(frozen=True)
class Account:
    """What is kept of one account. `url` is empty until the authority knows the key."""

    directory_url: str
    key_pem: str = field(repr=False)
    url: str = ""
    email: str = ""

    @property
    def key(self) -> JWK:
        """The key as the library wants it."""
        return JWKEC(key=serialization.load_pem_private_key(self.key_pem.encode(), None))


class AccountFiles:
    """The accounts of this machine. Staging and production are two directories, so two accounts. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def lock(self, directory_url: str) -> threading.Lock:
        """Held while an account is made, so that twenty first jobs make one."""
        with self._lock:
            return self._locks.setdefault(directory_url, threading.Lock())

    def load(self, directory_url: str) -> Account | None:
        """The account of a directory; None when there is none, or its file is damaged."""
        try:
            account = Account(**json.loads(self._path(directory_url).read_text()))
            _ = account.key
        except (FileNotFoundError, ValueError, TypeError):
            return None
        return account if account.directory_url == directory_url else None

    def save(self, account: Account) -> Account:
        """Durably, 0600. Raises OSError."""
        write_private(self._path(account.directory_url), json.dumps(asdict(account), indent=1).encode())
        return account

    def make(self, authority: Authority, directory_url: str) -> Account:
        """A new key, saved before anybody hears of it: a lost reply must not cost another account."""
        return self.save(Account(directory_url, new_account_key(), email=authority.email))

    def forget_url(self, account: Account) -> Account:
        """Keeps the key of an account that the authority lost."""
        return self.save(replace(account, url=""))

    def ca_file(self, authority: Authority, directory_url: str) -> Path | None:
        """The authority's own CA bundle as a file; None when it has none."""
        if not authority.ca_pem.strip():
            return None
        path = self._path(directory_url).with_name("ca.pem")
        with self.lock(f"{directory_url} ca"):
            if not path.exists() or path.read_text() != authority.ca_pem:
                write_private(path, authority.ca_pem.encode())
        return path

    def _path(self, directory_url: str) -> Path:
        host = re.sub(r"[^a-z0-9.-]", "-", (urlsplit(directory_url).hostname or "").lower())
        digest = hashlib.sha256(directory_url.encode()).hexdigest()[:12]
        return self._folder / f"{host[:80]}-{digest}" / "account.json"


def new_account_key() -> str:
    """A P-256 key, PKCS #8 PEM; never that of a certificate, because it is made here and used for nothing else."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
