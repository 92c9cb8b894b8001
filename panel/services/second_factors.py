"""The second factor: codes of an app, and recovery codes for the day on which the app is gone.
May import: panel.{totp,vault,models}, panel.services.{accounts,browser_sessions,context,events,secret_hashes}."""

from __future__ import annotations

import base64
import secrets
from enum import StrEnum

from sqlalchemy import delete, func, select, update

from panel import totp
from panel.errors import Conflict, Invalid
from panel.extensions import db
from panel.i18n import gettext as _
from panel.i18n import lazy_gettext
from panel.models import RecoveryCode, User
from panel.models.types import utcnow
from panel.services import accounts, browser_sessions, context, events
from panel.services.secret_hashes import hash_secret
from panel.vault import VaultError


class Proof(StrEnum):
    """What a right code was."""

    APP = "second factor"
    RECOVERY = "recovery code"


ISSUER = "Waypost"
RECOVERY_CODES = 10
_WRONG = lazy_gettext("This code is not right. Take the one that the app shows now.")


def begin(user: User) -> None:
    """Makes a secret that counts only once it is confirmed. Raises Conflict when the second factor is on."""
    if user.has_second_factor:
        raise Conflict(_("The second factor is on already. Turn it off first to set it up on another phone."))
    user.totp_sealed = context.vault().seal(totp.new_secret())
    db.session.flush()


def secret(user: User) -> str:
    """The secret while it waits to be confirmed, else "": afterwards nobody sees it again."""
    if user.has_second_factor:
        return ""
    try:
        return context.vault().open(user.totp_sealed)
    except VaultError:  # of another secret key: set up again
        return ""


def confirm(user: User, code: str) -> list[str]:
    """Turns the second factor on and gives the recovery codes, which are shown once. Raises Invalid, Conflict."""
    waiting = secret(user)
    if not waiting:
        raise Conflict(_("There is nothing to confirm. Set the second factor up from your account page."))
    step = totp.matching_step(waiting, code, utcnow())
    if step is None:
        raise Invalid("code", _("%(wrong)s If it stays wrong, compare the clock of the phone.", wrong=_WRONG))
    user.totp_step, user.totp_since = step, utcnow()
    codes = _new_codes(user)
    _record(user, user, "turn_on_second_factor", is_on=True)
    return codes


def check(user: User, code: str) -> Proof | None:
    """What this code is, which is used up then; None when it is wrong or was used before. Raises Conflict."""
    if _use_recovery_code(user, code):
        return Proof.RECOVERY
    return Proof.APP if _use_code(user, code) else None


def turn_off(user: User) -> None:
    """Turns the person's own second factor off and forgets the recovery codes."""
    _forget(user)
    _record(user, user, "turn_off_second_factor", is_on=False)


def renew_recovery_codes(user: User) -> list[str]:
    """New recovery codes, shown once; the ones before stop working. Raises Conflict when there is no second factor."""
    if not user.has_second_factor:
        raise Conflict(_("The second factor is off, so that there is nothing to recover."))
    codes = _new_codes(user)
    events.record(user, "user", "renew_recovery_codes", user.id, user.username, after={"codes": events.CHANGED})
    return codes


def reset(user: User, actor: User | None = None) -> None:
    """Takes a lost second factor from somebody and ends all their sessions. Raises Forbidden, Conflict."""
    accounts.require_administrator(actor)
    if not user.has_second_factor:
        raise Conflict(_("%(username)s has no second factor, so there is nothing to reset.", username=user.username))
    _forget(user)
    browser_sessions.end_all(user)
    _record(actor, user, "reset_second_factor", is_on=False)


def codes_left(user: User) -> int:
    """How many recovery codes still work."""
    unused = (RecoveryCode.user_id == user.id, RecoveryCode.used_at.is_(None))
    return db.session.scalar(select(func.count()).select_from(RecoveryCode).where(*unused)) or 0


def _record(actor: User | None, user: User, verb: str, *, is_on: bool) -> None:
    before, after = {"second_factor": not is_on}, {"second_factor": is_on}
    events.record(actor, "user", verb, user.id, user.username, before=before, after=after)


def _use_code(user: User, code: str) -> bool:
    """The step is raised where it is stored, so that of two posts with one code one wins."""
    try:
        step = totp.matching_step(context.vault().open(user.totp_sealed), code, utcnow())
    except VaultError as error:
        raise Conflict(
            _(
                "Codes of the app cannot be checked: the panel's secret key was changed. Use a "
                "recovery code, or ask an administrator to reset your second factor."
            )
        ) from error
    if step is None:
        return False
    is_new = (User.id == user.id, User.totp_step < step, User.totp_since.is_not(None))
    return db.session.scalar(update(User).where(*is_new).values(totp_step=step).returning(User.id)) is not None


def _use_recovery_code(user: User, code: str) -> bool:
    unused = (RecoveryCode.user_id == user.id, RecoveryCode.code_sha256 == _hash(code), RecoveryCode.used_at.is_(None))
    used = update(RecoveryCode).where(*unused).values(used_at=utcnow()).returning(RecoveryCode.id)
    if db.session.scalar(used) is None:
        return False
    left = {"left": codes_left(user)}
    events.record(user, "user", "use_recovery_code", user.id, user.username, after=left)
    return True


def _new_codes(user: User) -> list[str]:
    db.session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    texts = [base64.b32encode(secrets.token_bytes(10)).decode().lower() for _ in range(RECOVERY_CODES)]
    db.session.add_all(RecoveryCode(user_id=user.id, code_sha256=_hash(text)) for text in texts)
    db.session.flush()
    return ["-".join(text[start : start + 4] for start in range(0, 16, 4)) for text in texts]


def _forget(user: User) -> None:
    user.totp_sealed, user.totp_since = "", None
    db.session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    db.session.flush()


def _hash(code: str) -> str:
    """Of the code without what people type between its parts."""
    return hash_secret("".join(code.replace("-", " ").split()).lower())
