"""What is wrong beside hosts and agents: the panel itself, authorities, DNS credentials, channels for news.
May import: panel.services.troubles, panel.models, panel.extensions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from sqlalchemy import func, select

from panel.extensions import db
from panel.i18n import at_start, lazy_gettext, ngettext, plural, translated
from panel.i18n import gettext as _
from panel.models import AcmeAuthority, Certificate, DnsCredential, NotificationChannel
from panel.services.troubles import Action, Kind, Tone, Trouble, sentence

OK = "ok"
# What /healthz calls the panel's parts, as a sentence with the answer after it, and who is affected.
PARTS = {
    "database": (lazy_gettext("The {} does not work"), lazy_gettext("database"), lazy_gettext("Nothing can be saved")),
    "disk": (lazy_gettext("The panel's {} is filling up"), lazy_gettext("disk"), ""),
    "stream_server": (
        lazy_gettext("The panel does not let {} in"),
        lazy_gettext("agents"),
        lazy_gettext("What is saved reaches no nginx; what is live serves"),
    ),
    "clock": (
        lazy_gettext("The panel's {} does not run"),
        lazy_gettext("clock"),
        lazy_gettext("Agents that went away and late renewals may go unnoticed"),
    ),
    "hub": (lazy_gettext("The panel answers {}"), lazy_gettext("slowly"), ""),
}


def of_panel(parts: Mapping[str, str]) -> Iterator[Trouble]:
    """`parts` are the panel's own, each "ok" or what is wrong with it."""
    for part, said in parts.items():
        if said != OK and part in PARTS:
            what, subject, affected = PARTS[part]
            why = sentence(at_start(translated(said)), affected)
            yield Trouble(Kind.PANEL, Tone.BAD, subject, what, why, Action(_("Open report"), "/healthz"))


def of_settings(authorities: Iterable[AcmeAuthority], credentials: Iterable[DnsCredential]) -> Iterator[Trouble]:
    """Two queries: how many certificates need each, and the channels."""
    columns = (Certificate.authority_id, Certificate.dns_credential_id)
    by_authority: Counter[int | None] = Counter()
    by_credential: Counter[int | None] = Counter()
    for authority_id, credential_id, number in db.session.execute(select(*columns, func.count()).group_by(*columns)):
        by_authority[authority_id] += number
        by_credential[credential_id] += number
    for authority in authorities:
        if not authority.is_ready and (authority.is_default or by_authority[authority.id]):
            yield _authority(authority, by_authority[authority.id])
    for credential in credentials:
        if credential.test_error:
            yield _credential(credential, by_credential[credential.id])
    yield from _channels()


def _authority(authority: AcmeAuthority, users: int) -> Trouble:
    lacks = _("It needs an external account") if authority.directory_url else _("It is not there any more")
    hit = (
        _("%(count)s cannot be renewed", count=plural(users, "certificate"))
        if users
        else _("New certificates cannot be requested")
    )
    page = "/settings/authorities"
    return Trouble(
        Kind.AUTHORITY,
        Tone.WARN,
        authority.name,
        _("The authority {} cannot be asked"),
        sentence(lacks, hit),
        Action(_("Show authorities"), page),
        Action(_("Set up authority"), f"{page}/{authority.id}"),
    )


def _credential(credential: DnsCredential, users: int) -> Trouble:
    hit = ngettext("%(num)s certificate needs it", "%(num)s certificates need it", users) if users else ""
    return Trouble(
        Kind.CREDENTIAL,
        Tone.WARN,
        credential.name,
        _("The DNS credential {} does not work"),
        sentence(credential.test_error, hit),
        Action(_("Show DNS credentials"), "/settings/dns"),
        Action(_("Replace values"), f"/settings/dns/{credential.id}"),
        at=credential.tested_at,
        since=_("tested"),
    )


def _channels() -> Iterator[Trouble]:
    failing = (NotificationChannel.is_enabled.is_(True), NotificationChannel.last_error != "")
    for channel in db.session.scalars(select(NotificationChannel).where(*failing).order_by(NotificationChannel.name)):
        yield Trouble(
            Kind.CHANNEL,
            Tone.WARN,
            channel.name,
            _("News does not arrive by {}"),
            sentence(channel.last_error),
            Action(_("Show channels"), "/settings/notifications"),
        )
