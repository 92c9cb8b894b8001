"""Renewal information (RFC 9773): when an authority wants a certificate to be renewed. It never stops a renewal.
May import: agent.acme.net|objects|order|problems|session, agent.errors, cryptography."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from cryptography import x509

from agent.acme.net import Net
from agent.acme.objects import Directory
from agent.acme.order import RenewalInfo
from agent.acme.problems import NotAnAuthority, ProblemReply, Unreached, retry_after
from agent.acme.session import encode
from agent.errors import TimedOut

_log = logging.getLogger(__name__)

_DEFAULT_SECONDS, _LEAST_SECONDS, _MOST_SECONDS = 6 * 3600.0, 60.0, 86_400.0


def certificate_id(leaf_pem: str) -> str:
    """Key identifier of the issuer and serial number (section 4.1); "" for a certificate without one."""
    try:
        leaf = x509.load_pem_x509_certificate(leaf_pem.encode())
        issuer = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except (ValueError, x509.ExtensionNotFound):
        return ""
    serial = leaf.serial_number
    number = serial.to_bytes(serial.bit_length() // 8 + 1, "big")  # DER: one more bit, for the sign
    return f"{encode(issuer)}.{encode(number)}" if issuer else ""


def ask(net: Net, directory: Directory, leaf_pem: str) -> RenewalInfo | None:
    """The window, or None when the authority has none for it. What is unusable is logged, and None too."""
    identity = certificate_id(leaf_pem)
    if not directory.renewal_info or not identity:
        return None
    leaf = x509.load_pem_x509_certificate(leaf_pem.encode())
    if leaf.not_valid_after_utc <= datetime.now(UTC):
        return None  # section 4.3: an expired certificate is not asked about
    url = f"{directory.renewal_info.rstrip('/')}/{identity}"
    try:
        response = net.fetch(url)
        document = json.loads(response.content)
        start, end, page = _window(document)
    except (ProblemReply, NotAnAuthority, Unreached, TimedOut, ValueError, TypeError, KeyError) as error:
        log_unusable(url, error)
        return None
    if not start < end or start >= leaf.not_valid_after_utc:
        _log.info("the renewal window of %s makes no sense: %s to %s", url, start, end)
        return None
    delay = retry_after(response.headers, datetime.now(UTC))
    delay = _DEFAULT_SECONDS if delay is None else min(max(delay, _LEAST_SECONDS), _MOST_SECONDS)
    return RenewalInfo(start, min(end, leaf.not_valid_after_utc), page, delay)


def log_unusable(url: str, error: Exception) -> None:
    """A renewal goes on by the certificate's lifetime then."""
    _log.info("renewal information of %s is not usable: %s", url, error)


def _window(document: object) -> tuple[datetime, datetime, str]:
    """Raises ValueError, TypeError or KeyError for anything else than section 4.2 says."""
    if not isinstance(document, dict):
        raise TypeError("not an object")
    window = document["suggestedWindow"]
    start, end = (datetime.fromisoformat(window[name]) for name in ("start", "end"))
    if start.tzinfo is None or end.tzinfo is None:
        raise ValueError("no time zone")
    page = document.get("explanationURL", "")
    page = page if isinstance(page, str) and page.startswith(("https://", "http://")) else ""
    return start.astimezone(UTC), end.astimezone(UTC), page[:2000]
