"""One OpenID provider: the authorization code flow with PKCE, state and nonce. Costs 15 MB: imported when it is used.
May import: the standard library, authlib, joserfc, requests, panel.oidc, panel.config, panel.i18n."""

from __future__ import annotations

import hmac
import json
import secrets
import threading
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, cast
from urllib.parse import urlencode

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet, KeySetSerialization
from joserfc.jws import JWSRegistry

from panel.config import OidcSettings
from panel.i18n import gettext as _
from panel.oidc import OidcError, Pending, Person

TIMEOUT = (5.0, 10.0)  # seconds to connect, and between two pieces of an answer
METADATA_FOR = 3600.0  # seconds
LEEWAY = 60  # seconds that clocks may differ
LARGEST = 1 << 20  # bytes of an answer
# Signatures that only the provider can make; nothing with a shared secret, and never none.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
MAX_SUBJECT = 255  # characters (OpenID Connect Core 2)


class Provider:
    """One provider. What it publishes of itself is asked for once an hour; safe for several greenlets."""

    def __init__(self, settings: OidcSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._metadata: dict[str, Any] = {}
        self._keys = cast("KeySetSerialization", {})
        self._asked_at = 0.0

    def begin(self) -> tuple[str, Pending]:
        """The address to send the person to, and what to keep meanwhile. Raises OidcError."""
        pending = Pending(secrets.token_urlsafe(24), secrets.token_urlsafe(24), secrets.token_urlsafe(48))
        query = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": self._settings.redirect_url,
            "scope": self._settings.scopes,
            "state": pending.state,
            "nonce": pending.nonce,
            "code_challenge": create_s256_code_challenge(pending.verifier),
            "code_challenge_method": "S256",
        }
        endpoint = self._endpoint("authorization_endpoint")
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}", pending

    def finish(self, answer: Mapping[str, str], pending: Pending) -> Person:
        """Who it is that comes back with this query. Raises OidcError with a sentence for the person."""
        if not hmac.compare_digest(answer.get("state", "").encode(), pending.state.encode()):
            raise OidcError(_("This sign-in was begun in another window or too long ago. Begin it again."))
        if answer.get("iss", self._settings.issuer) != self._settings.issuer:  # RFC 9207
            raise OidcError(_("The answer came from another provider than the one that was asked."))
        if "error" in answer or not answer.get("code"):
            raise OidcError(
                _("%(name)s did not let you in. Begin again, or ask whoever runs it.", name=self._settings.name)
            )
        token = self._redeem(answer["code"], pending)
        return _person(self._complete(self._claims(token, pending), token), self._settings)

    def _redeem(self, code: str, pending: Pending) -> dict[str, Any]:
        settings = self._settings
        methods = self._load().get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        method = "client_secret_basic" if "client_secret_basic" in methods else "client_secret_post"
        with OAuth2Session(
            settings.client_id,
            settings.client_secret or None,
            redirect_uri=settings.redirect_url,
            token_endpoint_auth_method=method if settings.client_secret else "none",
        ) as session:
            try:
                token: dict[str, Any] = session.fetch_token(
                    self._endpoint("token_endpoint"),
                    code=code,
                    code_verifier=pending.verifier,
                    timeout=TIMEOUT,
                    allow_redirects=False,
                )
            except (OAuthError, requests.RequestException, ValueError) as error:
                raise OidcError(
                    _("%(name)s did not confirm this sign-in. Begin it again.", name=settings.name)
                ) from error
        return token

    def _claims(self, token: Mapping[str, Any], pending: Pending) -> Mapping[str, Any]:
        """The claims of the ID token after every check of OpenID Connect Core 3.1.3.7."""
        settings = self._settings
        parameters = {
            "nonce": pending.nonce,
            "client_id": settings.client_id,
            "access_token": token.get("access_token"),
        }
        options = {
            "iss": {"essential": True, "value": settings.issuer},
            "aud": {"essential": True, "value": settings.client_id},
        }
        try:
            decoded = self._verify(str(token.get("id_token", "")))
            claims: Mapping[str, Any] = CodeIDToken(decoded.claims, decoded.header, options, parameters)
            claims.validate(leeway=LEEWAY)  # type: ignore[attr-defined]
        except (JoseError, ValueError) as error:
            raise OidcError(
                _(
                    "What %(name)s says cannot be believed (%(error)s).",
                    name=settings.name,
                    error=type(error).__name__,
                )
            ) from error
        return claims

    def _complete(self, claims: Mapping[str, Any], token: Mapping[str, Any]) -> Mapping[str, Any]:
        """With what many providers say at their userinfo endpoint only (OpenID Connect Core 5.3)."""
        wanted = {"preferred_username", "email", self._settings.role_claim} - {""}
        if wanted <= set(claims) or not self._load().get("userinfo_endpoint") or not token.get("access_token"):
            return claims
        bearer = {"Authorization": f"Bearer {token['access_token']}"}
        more = self._get(self._endpoint("userinfo_endpoint"), bearer)
        if more.get("sub") != claims.get("sub"):
            raise OidcError(_("%(name)s speaks of two different people.", name=self._settings.name))
        return {**more, **claims}

    def _verify(self, id_token: str) -> Any:
        """The signed token; a key that is not known is asked for once, since providers change theirs."""
        offered = self._load().get("id_token_signing_alg_values_supported", ["RS256"])
        registry = JWSRegistry(algorithms=[one for one in ALGORITHMS if one in offered], strict_check_header=False)
        try:
            return jwt.decode(id_token, KeySet.import_key_set(self._keys), registry=registry)
        except InvalidKeyIdError:
            self._metadata = {}
            self._load()
            return jwt.decode(id_token, KeySet.import_key_set(self._keys), registry=registry)

    def _endpoint(self, name: str) -> str:
        url = str(self._load().get(name, ""))
        if not url.startswith(("https://", "http://")) or (
            url.startswith("http://") and self._settings.issuer.startswith("https://")
        ):
            raise OidcError(
                _("%(name)s names no usable %(what)s.", name=self._settings.name, what=name.replace("_", " "))
            )
        return url

    def _load(self) -> dict[str, Any]:
        """The provider's own description and its keys (OpenID Connect Discovery 4)."""
        with self._lock:
            if self._metadata and time.monotonic() - self._asked_at < METADATA_FOR:
                return self._metadata
            issuer = self._settings.issuer
            metadata = self._get(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
            if metadata.get("issuer") != issuer:
                raise OidcError(
                    _(
                        "%(name)s calls itself %(issuer)s. PANEL_OIDC_ISSUER must be exactly that.",
                        name=self._settings.name,
                        issuer=repr(str(metadata.get("issuer"))[:200]),
                    )
                )
            self._keys = cast("KeySetSerialization", self._get(str(metadata.get("jwks_uri", ""))))
            self._metadata, self._asked_at = metadata, time.monotonic()
            return metadata

    def _get(self, url: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        try:
            with requests.get(url, headers=headers, timeout=TIMEOUT, allow_redirects=False, stream=True) as answer:
                answer.raise_for_status()
                body = _read(answer)
            found = json.loads(body)
        except (requests.RequestException, ValueError) as error:
            raise OidcError(
                _(
                    "%(name)s cannot be reached now. Log in with your password, or try again in a while.",
                    name=self._settings.name,
                )
            ) from error
        if not isinstance(found, dict):
            raise OidcError(_("%(name)s does not answer as an OpenID provider does.", name=self._settings.name))
        return found


@lru_cache(maxsize=4)
def provider(settings: OidcSettings) -> Provider:
    """The provider of these settings, with what is known of it."""
    return Provider(settings)


def _read(answer: requests.Response) -> bytes:
    """All of an answer: one without a length comes in as many pieces as the provider likes. Raises ValueError."""
    body = b""
    for piece in answer.iter_content(65_536):
        body += piece
        if len(body) > LARGEST:
            raise ValueError("the answer is too long")
    return body


def _person(claims: Mapping[str, Any], settings: OidcSettings) -> Person:
    subject = str(claims.get("sub", ""))
    if not subject or len(subject) > MAX_SUBJECT:
        raise OidcError(_("%(name)s does not say who you are.", name=settings.name))
    names = [str(claims.get(name) or "") for name in ("preferred_username", "email", "name")]
    username = next((name for name in names if name), subject)
    label = next((name for name in (names[1], names[0], names[2]) if name), subject)
    roles = claims.get(settings.role_claim, ()) if settings.role_claim else ()
    values = (roles,) if isinstance(roles, str) else tuple(roles) if isinstance(roles, list | tuple) else ()
    return Person(settings.issuer, subject, username[:254], label[:254], tuple(str(value) for value in values))
