"""Revoking a certificate (RFC 8555 section 7.6): by the account that ordered it, else by its own key.
May import: agent.acme.failures|net|objects|problems|session, cryptography, josepy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from josepy.jwa import ES256, ES384, RS256
from josepy.jwk import JWK, JWKEC, JWKRSA

from agent.acme.failures import BadCertificate
from agent.acme.net import Net
from agent.acme.objects import Directory
from agent.acme.problems import BrokenOrder, ProblemReply
from agent.acme.session import Session, encode

# What an authority may say to an account that did not order the certificate, or that it does not know.
_NOT_BY_ACCOUNT = frozenset({"unauthorized", "accountDoesNotExist", "malformed"})


def revoke(
    session: Session | None,
    directory: Directory,
    open_net: Callable[[JWK, Any], Net],
    pems: tuple[str, str],
    reason: int,
) -> None:
    """`pems` are leaf and key. An already revoked one is a success. Raises ProblemReply and what Net raises."""
    leaf_pem, key_pem = pems
    if not directory.revoke:
        raise BrokenOrder("this authority does not revoke")
    leaf = x509.load_pem_x509_certificate(leaf_pem.encode())
    payload = {"certificate": encode(leaf.public_bytes(serialization.Encoding.DER)), "reason": reason}
    if session is not None and _accepted(session, payload, final=not key_pem):
        return
    key, alg = _signer(key_pem)
    _accepted(Session(open_net(key, alg), directory), payload, final=True)


def _accepted(session: Session, payload: dict[str, Any], *, final: bool) -> bool:
    """Whether it is revoked now. Raises ProblemReply when there is no other way to try."""
    try:
        session.post(session.directory.revoke, payload)
    except ProblemReply as reply:
        if reply.problem.kind == "alreadyRevoked":
            return True
        if final or reply.problem.kind not in _NOT_BY_ACCOUNT:
            raise
        return False
    return True


def _signer(key_pem: str) -> tuple[JWK, Any]:
    """The certificate's key and the algorithm that fits it."""
    key = serialization.load_pem_private_key(key_pem.encode(), None)
    if isinstance(key, rsa.RSAPrivateKey):
        return JWKRSA(key=key), RS256
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return JWKEC(key=key), ES384 if key.curve.name == "secp384r1" else ES256
    raise BadCertificate("its key is neither an EC nor an RSA key")
