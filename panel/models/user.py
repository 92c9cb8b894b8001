"""People who log in, and the throttle's memory of failed attempts.
May import: panel.extensions, panel.models.types."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from flask_login import UserMixin
from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from panel.extensions import Model
from panel.models.types import UTCDateTime, utcnow


class Role(StrEnum):
    """What a person may do: administrators everything, operators all but agents and people, viewers only look."""

    ADMINISTRATOR = "administrator"
    OPERATOR = "operator"
    VIEWER = "viewer"


class User(UserMixin, Model):  # type: ignore[misc]  # flask-login has no types
    """A person. `session_generation` is part of every session: raising it ends them all."""

    __tablename__ = "user"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(64), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    role: Mapped[str] = mapped_column(String(16), default=Role.OPERATOR)
    session_generation: Mapped[int] = mapped_column(default=1)
    disabled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utcnow)

    def get_id(self) -> str:
        """What Flask-Login keeps in the session."""
        return f"{self.id}:{self.session_generation}"

    @property
    def is_active(self) -> bool:
        """Whether this person may log in."""
        return self.disabled_at is None

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
