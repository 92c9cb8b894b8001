"""How certificates are called: where they come from, how they are asked for, what comes next.
May import: panel.models."""

from __future__ import annotations

from panel.i18n import gettext as _
from panel.i18n import lazy_gettext
from panel.models import Certificate, CertificateSource, Challenge, KeyType

TEST_SENTENCE = lazy_gettext("Test authority: browsers do not trust these certificates.")

KEY_TYPES = {
    KeyType.EC_256: "ECDSA P-256",
    KeyType.EC_384: "ECDSA P-384",
    KeyType.RSA_2048: "RSA 2048",
    KeyType.RSA_3072: "RSA 3072",
    KeyType.RSA_4096: "RSA 4096",
}
CHALLENGES = {Challenge.HTTP_01: "HTTP-01", Challenge.DNS_01: "DNS-01"}
SOURCES = {
    CertificateSource.ACME: lazy_gettext("requested here"),
    CertificateSource.UPLOAD: lazy_gettext("uploaded"),
    CertificateSource.CERTBOT: lazy_gettext("found, certbot renews it"),
}
ACTIONS = {
    "renew": lazy_gettext("The agent renews it"),
    "retry": lazy_gettext("The agent tries again"),
    "ask": lazy_gettext("The agent asks the authority when to renew"),
}


def authority(certificate: Certificate) -> str:
    """Who issues it, or where it came from."""
    if certificate.authority is not None:
        return certificate.authority.name
    return _("Uploaded") if certificate.source == CertificateSource.UPLOAD else certificate.issuer or _("not known")


def challenge(certificate: Certificate) -> str:
    """How names are proved, with the credential's name for DNS."""
    word = CHALLENGES.get(Challenge(certificate.challenge), "")
    credential = certificate.dns_credential
    return _("%(word)s with %(name)s", word=word, name=credential.name) if credential else word


def key_type(text: str) -> str:
    """A key type as people read it; what is not known here stays as the agent said it."""
    known = next((kind for kind in KeyType if kind == text), None)
    return KEY_TYPES[known] if known else text


def is_test(certificate: Certificate) -> bool:
    """Whether no browser trusts it because it comes from a test authority."""
    return certificate.authority is not None and certificate.authority.is_test
