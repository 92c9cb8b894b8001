"""Which names a certificate is good for, and whether it may stand beside a host.
May import: panel.models, panel.extensions, panel.nginx.grammar, panel.errors."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from panel.errors import Invalid
from panel.extensions import db
from panel.i18n import gettext as _
from panel.models import Agent, Certificate
from panel.nginx.grammar import display_name


def find_uncovered(certificate_names: Iterable[str], names: Iterable[str]) -> list[str]:
    """Those of `names` that browsers would not accept; a wildcard stands for exactly one label (RFC 9525)."""
    known = set(certificate_names)
    return [name for name in names if name not in known and f"*.{name.partition('.')[2]}" not in known]


def covers(certificate: Certificate, names: Iterable[str]) -> bool:
    """Whether the certificate is good for all these names."""
    return not find_uncovered(certificate.names, names)


def is_usable(certificate: Certificate, now: datetime) -> bool:
    """Whether browsers accept it at `now`: its files are on the agent, it is not over and nobody revoked it."""
    is_over = certificate.not_after is None or certificate.not_after <= now
    return certificate.is_present and not is_over and certificate.revoked_at is None


def require(certificate_id: int | None, agent: Agent, names: Iterable[str]) -> None:
    """Raises Invalid("certificate_id") when a host of these names on this agent cannot have the certificate."""
    if certificate_id is None:
        return
    certificate = db.session.get(Certificate, certificate_id)
    if certificate is None:
        raise Invalid("certificate_id", _("This certificate was deleted meanwhile. Choose another one."))
    if certificate.agent_id != agent.id:
        where = _("on the agent %(name)s, and this host on %(other)s", name=certificate.agent.name, other=agent.name)
        raise Invalid(
            "certificate_id",
            _(
                "The certificate %(name)s lies %(where)s. Choose one of %(name_2)s.",
                name=certificate.name,
                where=where,
                name_2=agent.name,
            ),
        )
    missing = find_uncovered(certificate.names, names)
    if missing:
        shown = ", ".join(map(display_name, missing[:5]))
        raise Invalid(
            "certificate_id",
            _(
                "The certificate %(name)s is not for %(shown)s. Choose another one, or request one for all names.",
                name=certificate.name,
                shown=shown,
            ),
        )
