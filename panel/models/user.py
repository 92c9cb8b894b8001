"""People who log in, and the throttle's memory of failed attempts.
May import: panel.extensions, panel.models.types."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from flask_login import UserMixin
from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from panel.extensions import Model
from panel.models.types import UTCDateTime, utcnow


class Role(StrEnum):
    """What a person may do: administrators everything, operators all but agents and people, viewers only look."""

    ADMINISTRATOR = "administrator"
    OPERATOR = "operator"
    VIEWER = "viewer"


class User(UserMixin, Model):  # type: ignore[misc]  # flask-login has no types
    """A person. `password_hash` is "" for who comes through an OpenID provider only.

    `totp_sealed` is the secret of the second factor, which counts from `totp_since` on; `totp_step` is the last
    step of 30 seconds whose code was used, so that no code works twice.
    """

    __tablename__ = "user"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(64), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    role: Mapped[str] = mapped_column(String(16), default=Role.OPERATOR)
    totp_sealed: Mapped[str] = mapped_column(Text, default="")
    totp_step: Mapped[int] = mapped_column(default=0)
    totp_since: Mapped[datetime | None] = mapped_column(UTCDateTime)
    has_shortcuts: Mapped[bool] = mapped_column(default=True)  # single keys do things, until switched off (WCAG 2.1.4)
    disabled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    first_steps_hidden_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # put away on the overview
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)

    @property
    def is_active(self) -> bool:
        """Whether this person may log in."""
        return self.disabled_at is None

    @property
    def has_password(self) -> bool:
        """Whether this person can log in here, without a provider."""
        return bool(self.password_hash)

    @property
    def has_second_factor(self) -> bool:
        """Whether a code is asked for after the password."""
        return self.totp_since is not None

    @property
    def may_edit(self) -> bool:
        """Whether this person changes hosts and sends commands."""
        return self.role in {Role.ADMINISTRATOR, Role.OPERATOR}

    @property
    def may_administer(self) -> bool:
        """Whether this person adds and revokes agents and manages people."""
        return self.role == Role.ADMINISTRATOR

    @property
    def initials(self) -> str:
        """Two letters for the account button."""
        return self.username[:2].upper()


class LoginThrottle(Model):
    """Failures counted under one key (an account seen from one place, or one place)."""

    __tablename__ = "login_throttle"

    key: Mapped[str] = mapped_column(String(128), primary_key=True)
    failures: Mapped[int] = mapped_column(default=0)
    blocked_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_failure_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)
