"""What somebody logs in with: the rules of user names and passwords, and a pair that keeps them.
May import: panel.passwords, panel.errors, panel.i18n."""

from __future__ import annotations

import re
from dataclasses import dataclass

from panel import passwords
from panel.errors import Invalid
from panel.i18n import gettext as _

MIN_PASSWORD_LENGTH = 12
MAX_PASSWORD_LENGTH = 256
_USERNAME = re.compile(r"[a-z0-9](?:[a-z0-9._@-]{0,62}[a-z0-9])?")


@dataclass(frozen=True)
class Credentials:
    """A checked user name and the hash of a password that fits it."""

    username: str
    password_hash: str


def prepare(username: str, password: str) -> Credentials:
    """Checks both and hashes the password, which takes a while: call it with no transaction open. Raises Invalid."""
    name = parse_username(username)
    check_password(name, password)
    return Credentials(name, passwords.hash_password(password))


def parse_username(text: str) -> str:
    """The name as it is stored, in lower case. Raises Invalid."""
    name = text.strip().lower()
    if not _USERNAME.fullmatch(name):
        raise Invalid(
            "username",
            _("Use 1 to 64 letters a to z, digits, dots, hyphens, underscores or @; a letter or digit at both ends."),
        )
    return name


def check_password(username: str, password: str) -> None:
    """Raises Invalid with the rule that the password breaks."""
    if len(password) < MIN_PASSWORD_LENGTH:
        raise Invalid(
            "password",
            _(
                "Use at least %(min_password_length)s characters. A few words in a row do well.",
                min_password_length=MIN_PASSWORD_LENGTH,
            ),
        )
    if len(password) > MAX_PASSWORD_LENGTH:
        raise Invalid(
            "password", _("Use at most %(max_password_length)s characters.", max_password_length=MAX_PASSWORD_LENGTH)
        )
    if password.strip().lower() == username.lower():
        raise Invalid("password", _("Choose a password that is not your user name."))
    if len(set(password)) < 4:
        raise Invalid("password", _("Use more than a few different characters."))
