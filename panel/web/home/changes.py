"""Recorded changes as sentences, with the page of what was changed and of the job that came of it.
May import: panel.nginx.grammar, panel.services."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from panel.nginx.grammar import display_name
from panel.services.recent_changes import RecentChange

_NOUNS = {
    "proxy_host": "host",
    "acme_authority": "authority",
    "dns_credential": "DNS credential",
    "notification_channel": "channel",
    "command": "job",
}
# Before the noun, and after the name.
_VERBS = {
    "create": ("added the {noun}", ""),
    "update": ("changed the {noun}", ""),
    "delete": ("deleted the {noun}", ""),
    "restore": ("brought back the {noun}", ""),
    "enable": ("enabled the {noun}", ""),
    "disable": ("disabled the {noun}", ""),
    "refuse": ("refused the {noun}", ""),
    "link": ("gave a certificate to the {noun}", ""),
    "unlink": ("took the certificate from the {noun}", ""),
    "certificate-refused": ("could not ask for a certificate for the {noun}", ""),
    "request": ("requested the {noun}", ""),
    "renew": ("asked to renew the {noun}", ""),
    "issued": ("obtained the {noun}", ""),
    "renewed": ("renewed the {noun}", ""),
    "failed": ("could not obtain the {noun}", ""),
    "vanished": ("misses the files of the {noun}", ""),
    "revoke": ("revoked the {noun}", ""),
    "revoked": ("revoked the {noun}", ""),
    "found": ("found the {noun}", ""),
    "pause": ("paused the renewal of", ""),
    "resume": ("resumed the renewal of", ""),
    "take-over": ("took over the renewal of", ""),
    "upload": ("uploaded the {noun}", ""),
    "replace": ("replaced the {noun}", ""),
    "cancel": ("cancelled a job", ""),
    "join": ("let the agent", "join"),
    "join-token": ("made a join command for", ""),
    "put-back": ("put back the files of", ""),
    "heal": ("changed what is done about hand edits on", ""),
    "drift": ("found files that were changed by hand on", ""),
    "drift-end": ("found the files as they were written on", ""),
    "hold-off": ("does not let in", ""),
    "trust-labels": ("changed whether labels are trusted on", ""),
    "label-host": ("added a host from a container on", ""),
    "attach": ("joined nginx to a network on", ""),
    "detach": ("took nginx out of a network on", ""),
    "take_back": ("took back an invitation", ""),
    "set_role": ("changed the role of", ""),
    "reset_password": ("set a new password for", ""),
    "reset_second_factor": ("reset the second factor of", ""),
    "change_password": ("changed the password", ""),
    "turn_on_second_factor": ("turned on the second factor", ""),
    "turn_off_second_factor": ("turned off the second factor", ""),
    "accept_invitation": ("accepted an invitation", ""),
    "setup": ("set up this panel", ""),
    "end_sessions": ("ended sessions of", ""),
    "switch_shortcuts": ("switched single-key shortcuts", ""),
    "demo": ("filled this panel with a demo: nothing before is real", ""),
    "fallbacks": ("changed the order of authorities", ""),
}
_OWN = frozenset(
    {
        "demo",
        "switch_shortcuts",
        "change_password",
        "turn_on_second_factor",
        "turn_off_second_factor",
        "accept_invitation",
        "setup",
    }
)
_TONES = {"refuse": "bad", "failed": "bad", "vanished": "bad", "certificate-refused": "bad", "drift": "warn"}
_TONES |= {"hold-off": "bad", "revoked": "bad"}
_PAGES = {
    "proxy_host": "/hosts/{id}",
    "certificate": "/certificates/{id}",
    "agent": "/agents/{id}",
    "acme_authority": "/settings/authorities",
    "dns_credential": "/settings/dns",
    "notification_channel": "/settings/notifications",
}
_KEPT_WHEN_DELETED = frozenset({"proxy_host"})


@dataclass(frozen=True)
class ChangeLine:
    """One line: who did what to which object, and the pages of both the object and the job."""

    at: datetime
    tone: str
    person: str
    words: str
    name: str
    after: str
    address: str
    job: str


def line(change: RecentChange) -> ChangeLine:
    """A change as the overview says it; a verb that is not known here is said as it was recorded."""
    noun = _NOUNS.get(change.noun, change.noun.replace("_", " "))
    before, after = _VERBS.get(change.verb, (f"{change.verb.replace('_', ' ').replace('-', ' ')}: {noun}", ""))
    fields = ", ".join(name.replace("_", " ") for name in change.fields[:3])
    is_own = change.verb in _OWN
    return ChangeLine(
        at=change.at,
        tone=_TONES.get(change.verb, "ok"),
        person=_who(change),
        words=before.format(noun=noun),
        name="" if is_own or change.noun == "command" else _name(change),
        after=after or (f"({fields})" if fields and change.verb == "update" else ""),
        address=_page(change),
        job=f"/jobs/{change.command_id}" if change.command_id else "",
    )


def _who(change: RecentChange) -> str:
    if change.verb == "refuse":
        return "nginx"
    if not change.person:
        return "An agent" if change.noun in {"agent", "certificate"} and change.verb != "create" else "The panel"
    return change.person


def _name(change: RecentChange) -> str:
    return display_name(change.object_name) if change.noun == "proxy_host" else change.object_name


def _page(change: RecentChange) -> str:
    is_gone = change.verb == "delete" and change.noun not in _KEPT_WHEN_DELETED
    return "" if is_gone else _PAGES.get(change.noun, "").format(id=change.object_id)
