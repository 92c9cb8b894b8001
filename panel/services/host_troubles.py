"""What is wrong with hosts: refused by nginx, or leading to an upstream that cannot be used.
May import: panel.services.{estate,troubles}, panel.nginx.grammar."""

from __future__ import annotations

from collections.abc import Iterator

from panel.i18n import gettext as _
from panel.nginx.grammar import display_name
from panel.services.estate import Estate, Refused, Unreachable
from panel.services.troubles import Action, Kind, Tone, Trouble, sentence

_CODES = {"timeout": "504"}  # what visitors get, by the cause that the agent found; else 502
_MAYBE = "unhealthy"  # such a container answers, perhaps wrongly
_WORDS_SHOWN = 200  # of nginx's own


def find(estate: Estate) -> Iterator[Trouble]:
    """Everything about hosts, one trouble for each."""
    for refused in estate.refused:
        yield _refused(estate, refused)
    for unreachable in estate.unreachable:
        yield _unreachable(estate, unreachable)


def _refused(estate: Estate, host: Refused) -> Trouble:
    affected = _("The last good version keeps serving") if host.is_live else _("It is not served; other hosts are")
    return Trouble(
        Kind.HOST_REFUSED,
        Tone.WARN if host.is_live else Tone.BAD,
        display_name(host.name),
        _("nginx refused {}"),
        sentence(host.text[:_WORDS_SHOWN], affected),
        Action(_("Open host"), f"/hosts/{host.id}"),
        Action(_("Edit host"), f"/hosts/{host.id}/edit"),
        agent_id=host.agent_id,
        agent_name=estate.agent_names.get(host.agent_id, ""),
    )


def _unreachable(estate: Estate, host: Unreachable) -> Trouble:
    health = host.health
    is_sure = health.cause != _MAYBE
    upstream = health.upstream
    return Trouble(
        Kind.UPSTREAM,
        Tone.BAD if is_sure else Tone.WARN,
        display_name(host.name),
        _("{} answers with %(get)s", get=_CODES.get(health.cause, "502"))
        if is_sure
        else _("{} may answer with errors"),
        sentence(
            health.sentence or _("nginx cannot use %(host)s:%(port)s", host=upstream.host, port=upstream.port),
            health.next_step,
        ),
        Action(_("Open host"), f"/hosts/{host.id}"),
        agent_id=host.agent_id,
        agent_name=estate.agent_names.get(host.agent_id, ""),
        query=f"{upstream.host}:{upstream.port}",
    )
