"""Engine: time-based one-time codes (RFC 6238, SHA-1, 6 digits, 30 seconds) and their QR code.
May import: the standard library, pyotp, segno."""

from __future__ import annotations

import hmac
import io
from datetime import datetime

import pyotp

STEP = 30  # seconds
DRIFT = 1  # steps that a phone's clock may be early or late


def new_secret() -> str:
    """160 random bits in Base32, as authenticator apps take them."""
    return pyotp.random_base32(32)


def matching_step(secret: str, code: str, now: datetime) -> int | None:
    """The step whose code this is, at most one step away from `now`; None for any other text."""
    digits = "".join(code.split())
    if len(digits) != 6 or not digits.isascii() or not digits.isdigit():
        return None
    generator = pyotp.TOTP(secret, interval=STEP)
    current = int(now.timestamp()) // STEP
    steps = range(current - DRIFT, current + DRIFT + 1)
    found = [step for step in steps if hmac.compare_digest(generator.generate_otp(step), digits)]
    return max(found, default=None)


def uri(secret: str, username: str, issuer: str) -> str:
    """What the QR code says (Google Authenticator's key URI format)."""
    return pyotp.TOTP(secret, interval=STEP).provisioning_uri(name=username, issuer_name=issuer)


def qr_svg(text: str) -> str:
    """The text as a QR code: one SVG element with nothing but paths, dark on white, 4 modules of quiet zone."""
    import segno  # noqa: PLC0415 - only whoever sets up a second factor needs it

    out = io.BytesIO()
    code = segno.make(text, error="m", micro=False)
    code.save(out, kind="svg", xmldecl=False, svgns=True, nl=False, svgclass="qr", omitsize=True, light="#fff")
    return out.getvalue().decode()
