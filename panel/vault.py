"""Engine: secrets at rest. What is sealed can only be opened with the panel's secret key.
May import: cryptography."""

from __future__ import annotations

import base64

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


class VaultError(Exception):
    """A sealed value that this secret key does not open; the sentence says what to do."""


class Vault:
    """Seals and opens text. The key is derived from the panel's secret key (RFC 5869)."""

    def __init__(self, secret_key: str) -> None:
        derived = HKDF(hashes.SHA256(), length=32, salt=None, info=b"waypost vault").derive(secret_key.encode())
        self._fernet = Fernet(base64.urlsafe_b64encode(derived))

    def seal(self, text: str) -> str:
        """The text, encrypted and authenticated; empty stays empty."""
        return self._fernet.encrypt(text.encode()).decode() if text else ""

    def open(self, sealed: str) -> str:
        """The text that was sealed. Raises VaultError when the secret key has changed since."""
        if not sealed:
            return ""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken as error:
            raise VaultError(
                "A stored secret cannot be opened: PANEL_SECRET_KEY is not the one it was stored with. Put that key "
                "back, or enter the secret again."
            ) from error
