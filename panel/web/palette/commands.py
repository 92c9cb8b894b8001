"""The pages that there are, what can be done from everywhere, and the keys for both. One list for all who show them.
May import: Flask, panel.models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import url_for

from panel.i18n import lazy_gettext
from panel.models import Role, User

_RANK = (Role.VIEWER, Role.OPERATOR, Role.ADMINISTRATOR)


@dataclass(frozen=True)
class Command:
    """Something to go to or to do. `words` are other names for it; `endpoint` is POSTed to when `is_post`.

    `keys` are single keys pressed one after the other ("g h"); `lowest` is the lowest role that may do it.
    """

    label: str
    endpoint: str
    icon: str
    words: str = ""
    keys: str = ""
    lowest: Role = Role.VIEWER
    is_post: bool = False

    @property
    def url(self) -> str:
        """Its address."""
        return url_for(self.endpoint)

    @property
    def key_list(self) -> list[str]:
        """The keys one by one, as they are written on them."""
        return [key.upper() for key in self.keys.split()]

    def is_for(self, user: User) -> bool:
        """Whether the person's role may do it."""
        return _RANK.index(self.lowest) <= _RANK.index(Role(user.role))

    def fits(self, query: str) -> bool:
        """Whether each word of the query begins a word of the label or of the other names."""
        known = f"{self.label} {self.words}".lower().split()
        return all(any(word.startswith(part) for word in known) for part in query.lower().split())


PAGES = (
    Command(lazy_gettext("Overview"), "home.index", "home", "start dashboard home attention", "g o"),
    Command(lazy_gettext("Hosts"), "hosts.index", "hosts", "names proxy domains sites", "g h"),
    Command(lazy_gettext("Certificates"), "certificates.index", "cert", "tls ssl https", "g c"),
    Command(lazy_gettext("Agents"), "agents.index", "agent", "machines servers nginx", "g a"),
    Command(lazy_gettext("Networks"), "networks.index", "net", "docker", "g n"),
    Command(lazy_gettext("Containers"), "containers.index", "docker", "docker engine", "g k"),
    Command(lazy_gettext("Jobs"), "jobs.index", "jobs", "commands output log", "g j"),
    Command(lazy_gettext("Audit log"), "audit.index", "audit", "history events who changed csv", "g l"),
    Command(lazy_gettext("Saved changes"), "changes.index", "diff", "review unapplied pending difference", "g r"),
    Command(lazy_gettext("Settings"), "settings.index", "settings", "options configuration", "g s"),
    Command(
        lazy_gettext("Certificate authorities"), "settings.authorities", "cert", "settings acme letsencrypt staging"
    ),
    Command(lazy_gettext("DNS credentials"), "settings.dns", "dns", "settings provider txt"),
    Command(lazy_gettext("Notifications"), "notifications.index", "alert", "settings channels mail chat webhook"),
    Command(lazy_gettext("Users"), "users.index", "users", "people roles accounts", "g u", Role.ADMINISTRATOR),
    Command(lazy_gettext("Account and sessions"), "account.show", "key", "password profile second factor logins me"),
)
COMMANDS = (
    Command(lazy_gettext("Add host"), "hosts.create", "plus", "create new proxy name", "n", Role.OPERATOR),
    Command(
        lazy_gettext("Request certificate"),
        "certificates.create",
        "plus",
        "new ssl tls https issue create",
        "",
        Role.OPERATOR,
    ),
    Command(lazy_gettext("Upload certificate"), "certificates.upload", "up", "import own pem", "", Role.OPERATOR),
    Command(
        lazy_gettext("Apply saved changes"),
        "changes.apply",
        "bolt",
        "deploy reload live publish",
        "",
        Role.OPERATOR,
        is_post=True,
    ),
    Command(
        lazy_gettext("Add agent"), "agents.create", "plus", "new machine server join enrol", "", Role.ADMINISTRATOR
    ),
    Command(
        lazy_gettext("Invite person"), "users.invite", "plus", "new user people create link", "", Role.ADMINISTRATOR
    ),
    Command(lazy_gettext("Set up second factor"), "account.second_factor", "lock", "totp code password app"),
    Command(lazy_gettext("Switch between light and dark"), "home.set_theme", "sun", "theme mode colours", is_post=True),
    Command(lazy_gettext("Log out"), "auth.logout", "power", "sign leave exit end", is_post=True),
)


def pages(user: User, query: str = "") -> Sequence[Command]:
    """The pages that this person may open and that fit the query."""
    return [one for one in PAGES if one.is_for(user) and one.fits(query)]


def commands(user: User, query: str = "") -> Sequence[Command]:
    """The commands that this person may give and that fit the query."""
    return [one for one in COMMANDS if one.is_for(user) and one.fits(query)]


def shortcuts(user: User) -> Sequence[Command]:
    """Whatever has keys of its own for this person."""
    return [one for one in (*PAGES, *COMMANDS) if one.keys and one.is_for(user)]
