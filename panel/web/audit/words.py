"""How changes are called: kinds of objects, what was done to them, their fields and values.
May import: panel.web.hosts.forms, panel.web.jobs.words, panel.nginx.grammar."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from panel.i18n import at_start, lazy_gettext, midst
from panel.i18n import gettext as _
from panel.nginx.grammar import display_name
from panel.web.hosts.forms import LABELS
from panel.web.jobs.words import KINDS

NOUNS = {
    "proxy_host": lazy_gettext("Host"),
    "certificate": lazy_gettext("Certificate"),
    "acme_authority": lazy_gettext("Authority"),
    "dns_credential": lazy_gettext("DNS credential"),
    "agent": lazy_gettext("Agent"),
    "command": lazy_gettext("Job"),
    "notification_channel": lazy_gettext("Notification channel"),
    "user": lazy_gettext("Person"),
    "invitation": lazy_gettext("Invitation"),
    "panel": lazy_gettext("Panel"),
}

# What somebody did; {} is the object.
VERBS = {
    "panel:demo": lazy_gettext("filled this panel with a demo: nothing before this is real"),
    "user:switch_shortcuts": lazy_gettext("switched the single-key shortcuts of {}"),
    "proxy_host:create": lazy_gettext("created host {}"),
    "proxy_host:update": lazy_gettext("changed host {}"),
    "proxy_host:enable": lazy_gettext("enabled host {}"),
    "proxy_host:disable": lazy_gettext("disabled host {}"),
    "proxy_host:link": lazy_gettext("gave host {} a certificate"),
    "proxy_host:unlink": lazy_gettext("took the certificate from host {}"),
    "proxy_host:delete": lazy_gettext("deleted host {}"),
    "proxy_host:restore": lazy_gettext("brought host {} back"),
    "proxy_host:undo": lazy_gettext("undid the last change of host {}"),
    "proxy_host:roll-back": lazy_gettext("brought an earlier version of host {} back"),
    "proxy_host:refuse": lazy_gettext("refused host {}"),
    "proxy_host:certificate-refused": lazy_gettext("could not ask for a certificate for host {}"),
    "certificate:request": lazy_gettext("requested certificate {}"),
    "certificate:rehearse": lazy_gettext("tried certificate {} on staging"),
    "certificate:renew": lazy_gettext("asked for the renewal of certificate {}"),
    "certificate:update": lazy_gettext("changed how certificate {} is renewed"),
    "certificate:pause": lazy_gettext("paused the renewal of certificate {}"),
    "certificate:resume": lazy_gettext("resumed the renewal of certificate {}"),
    "certificate:revoke": lazy_gettext("asked to revoke certificate {}"),
    "certificate:take-over": lazy_gettext("took certificate {} over from certbot"),
    "certificate:upload": lazy_gettext("uploaded certificate {}"),
    "certificate:replace": lazy_gettext("uploaded the successor of certificate {}"),
    "certificate:delete": lazy_gettext("deleted certificate {}"),
    "certificate:found": lazy_gettext("found certificate {}"),
    "certificate:issued": lazy_gettext("has certificate {} now"),
    "certificate:renewed": lazy_gettext("has a renewed certificate {}"),
    "certificate:failed": lazy_gettext("could not obtain certificate {}"),
    "certificate:vanished": lazy_gettext("misses certificate {}"),
    "certificate:revoked": lazy_gettext("learned that certificate {} is revoked"),
    "acme_authority:create": lazy_gettext("added authority {}"),
    "acme_authority:update": lazy_gettext("changed authority {}"),
    "acme_authority:delete": lazy_gettext("deleted authority {}"),
    "acme_authority:default": lazy_gettext("made {} the default authority"),
    "acme_authority:fallbacks": lazy_gettext("changed the order of authorities to fall back on"),
    "dns_credential:create": lazy_gettext("added DNS credential {}"),
    "dns_credential:update": lazy_gettext("changed DNS credential {}"),
    "dns_credential:delete": lazy_gettext("deleted DNS credential {}"),
    "agent:create": lazy_gettext("added agent {}"),
    "agent:join-token": lazy_gettext("made a join command for agent {}"),
    "agent:join": lazy_gettext("let agent {} join"),
    "agent:hold-off": lazy_gettext("holds agent {} off: two machines use its identity"),
    "agent:revoke": lazy_gettext("revoked agent {}"),
    "agent:apply": lazy_gettext("applied everything that is saved on {}"),
    "agent:reload": lazy_gettext("reloaded nginx of {}"),
    "agent:heal": lazy_gettext("changed what happens to hand edits on {}"),
    "agent:put-back": lazy_gettext("put back what was changed by hand on {}"),
    "agent:drift": lazy_gettext("found hand edits on {}"),
    "agent:drift-end": lazy_gettext("sees no hand edits on {} any more"),
    "agent:docker-found": lazy_gettext("reaches Docker on {} again"),
    "agent:docker-lost": lazy_gettext("does not reach Docker on {} any more"),
    "agent:network-lost": lazy_gettext("sees that nginx of {} left a network"),
    "agent:network-back": lazy_gettext("sees nginx of {} in its network again"),
    "agent:attach-network": lazy_gettext("joined nginx of {} to a network"),
    "agent:detach-network": lazy_gettext("took nginx of {} out of a network"),
    "agent:trust-labels": lazy_gettext("changed whether labels of containers on {} are trusted"),
    "agent:label-host": lazy_gettext("took a host over from labels on {}"),
    "command:cancel": lazy_gettext("cancelled a job: {}"),
    "command:retry": lazy_gettext("retried a job: {}"),
    "notification_channel:create": lazy_gettext("added channel {}"),
    "notification_channel:update": lazy_gettext("changed channel {}"),
    "notification_channel:enable": lazy_gettext("switched channel {} on"),
    "notification_channel:disable": lazy_gettext("switched channel {} off"),
    "notification_channel:delete": lazy_gettext("deleted channel {}"),
    "user:setup": lazy_gettext("became the first administrator: {}"),
    "user:create": lazy_gettext("added {}"),
    "user:login": lazy_gettext("logged in"),
    "user:logout": lazy_gettext("logged out"),
    "user:login-failed": lazy_gettext("tried a wrong password for {}"),
    "user:code-failed": lazy_gettext("gave the password of {} and a wrong code"),
    "user:change_password": lazy_gettext("changed the own password"),
    "user:reset_password": lazy_gettext("gave {} a new password"),
    "user:set_role": lazy_gettext("changed the role of {}"),
    "user:disable": lazy_gettext("disabled {}"),
    "user:enable": lazy_gettext("enabled {}"),
    "user:end_session": lazy_gettext("ended one of the own sessions"),
    "user:end_sessions": lazy_gettext("ended sessions of {}"),
    "user:turn_on_second_factor": lazy_gettext("turned the second factor on"),
    "user:turn_off_second_factor": lazy_gettext("turned the second factor off"),
    "user:reset_second_factor": lazy_gettext("took the second factor from {}"),
    "user:renew_recovery_codes": lazy_gettext("made new recovery codes"),
    "user:use_recovery_code": lazy_gettext("used a recovery code"),
    "user:link_identity": lazy_gettext("linked an identity at the provider"),
    "user:unlink_identity": lazy_gettext("unlinked an identity at the provider"),
    "user:hide_first_steps": lazy_gettext("put the first steps away"),
    "user:show_first_steps": lazy_gettext("had the first steps shown again"),
    "user:demo": lazy_gettext("filled this panel with a demo: nothing before is real"),
    "user:enter": lazy_gettext("came by the provider for the first time"),
    "user:accept_invitation": lazy_gettext("accepted an invitation"),
    "invitation:create": lazy_gettext("invited somebody: {}"),
    "invitation:take_back": lazy_gettext("took an invitation back: {}"),
}

FIELDS = LABELS | {
    "address": lazy_gettext("Address"),
    "days": lazy_gettext("Days"),
    "kind": lazy_gettext("Kind"),
    "token": lazy_gettext("Token"),
    "names": lazy_gettext("Names"),
    "authority_id": lazy_gettext("Authority"),
    "source": lazy_gettext("Came"),
    "is_paused": lazy_gettext("Renewal paused"),
    "challenge": lazy_gettext("Challenge"),
    "dns_credential_id": lazy_gettext("DNS credential"),
    "propagation_seconds": lazy_gettext("Wait for DNS, seconds"),
    "key_type": lazy_gettext("Key"),
    "profile": lazy_gettext("Profile"),
    "not_after": lazy_gettext("Ends"),
    "name": lazy_gettext("Name"),
    "directory_url": lazy_gettext("Directory"),
    "staging_directory_url": lazy_gettext("Staging directory"),
    "ca_pem": lazy_gettext("CA certificate"),
    "email": lazy_gettext("E-mail"),
    "eab_kid": lazy_gettext("Key ID"),
    "eab_key": lazy_gettext("HMAC key"),
    "needs_eab": lazy_gettext("Needs an external account"),
    "is_test": lazy_gettext("Test authority"),
    "default": lazy_gettext("Default authority"),
    "fallbacks": lazy_gettext("To fall back on"),
    "provider": lazy_gettext("Provider"),
    "role": lazy_gettext("Role"),
    "is_active": lazy_gettext("May log in"),
    "second_factor": lazy_gettext("Second factor"),
    "codes": lazy_gettext("Recovery codes"),
    "left": lazy_gettext("Codes left"),
    "by": lazy_gettext("By"),
    "ended": lazy_gettext("Sessions ended"),
    "invited_by": lazy_gettext("Invited by"),
    "is_revoked": lazy_gettext("Revoked"),
    "join_token": lazy_gettext("Join token"),
    "hostname": lazy_gettext("Machine"),
    "heals": lazy_gettext("Hand edits are put back"),
    "trusts_labels": lazy_gettext("Labels are trusted"),
    "text": lazy_gettext("In nginx's words"),
    "sentence": lazy_gettext("Why"),
    "url": lazy_gettext("Address"),
    "serial": lazy_gettext("Serial"),
    "issuer": lazy_gettext("Issuer"),
    "cause": lazy_gettext("Cause"),
    "problem": lazy_gettext("Problem"),
    "reason": lazy_gettext("Reason"),
    "files": lazy_gettext("Files"),
    "network": lazy_gettext("Network"),
    "networks": lazy_gettext("Networks"),
    "password": lazy_gettext("Password"),
    "has_shortcuts": lazy_gettext("Single-key shortcuts"),
}
# Fields that hold the number of another object, and its kind.
REFERENCES = {
    "agent_id": "agent",
    "certificate_id": "certificate",
    "authority_id": "acme_authority",
    "dns_credential_id": "dns_credential",
    "invited_by": "user",
}
_NO_OBJECT = lazy_gettext("something")


def phrase(verb: str) -> tuple[str, str]:
    """What was done, in words before and after the object's name."""
    text = str(VERBS.get(verb, f"{verb.partition(':')[2].replace('-', ' ').replace('_', ' ')} {{}}"))
    before, _, after = text.partition("{}")
    return before, after


def action(verb: str) -> str:
    """The same without an object, for a list to choose from: "changed host" becomes "Changed host"."""
    text = " … ".join(part.strip() for part in phrase(verb) if part.strip())
    return at_start(text.removesuffix(":").replace(" … :", ":"))


def verbs_of(noun: str) -> list[str]:
    """What can be done to such an object."""
    return [verb for verb in VERBS if verb.startswith(f"{noun}:")]


def short(noun: str, verb: str) -> str:
    """What was done, said on the object's own page."""
    before, after = phrase(verb)
    it = {"proxy_host": (_("host "), _("this host")), "certificate": (_("certificate "), _("this certificate"))}.get(
        noun
    )
    return f"{before.removesuffix(it[0])}{it[1]}{after}" if it else before + _("it") + after


def names_object(verb: str) -> bool:
    """Whether the words for this verb name the object."""
    return "{}" in VERBS.get(verb, "{}")


def object_name(noun: str, name: str) -> str:
    """The object's name as people read it."""
    if noun == "command":
        return next((label for kind, label in KINDS.items() if kind == name), name)
    return display_name(name) if noun == "proxy_host" and name else name or _NO_OBJECT


def field(name: str) -> str:
    """The field's label."""
    plain = name.removeprefix("values.").removeprefix("is_").removesuffix("_id").replace("_", " ")
    return FIELDS.get(name, plain[:1].upper() + plain[1:])


def value(name: str, stored: Any, references: Mapping[tuple[str, str], str]) -> str:
    """A value as people read it; what was a number of another object is its name."""
    if name in REFERENCES and stored is not None:
        noun = REFERENCES[name]
        return references.get(
            (noun, str(stored)), _("%(noun)s %(stored)s, deleted since", noun=midst(NOUNS[noun]), stored=stored)
        )
    if isinstance(stored, bool):
        return _("yes") if stored else _("no")
    if stored is None or stored in ("", []):
        return _("none")
    if isinstance(stored, list):
        return ", ".join(_one(name, item) for item in stored)
    return str(stored)


def _one(name: str, item: Any) -> str:
    if isinstance(item, dict):
        return str(item.get("path") or item.get("name") or len(item))
    return display_name(str(item)) if name in {"domain_names", "names"} else str(item)
