"""How changes are called: kinds of objects, what was done to them, their fields and values.
May import: panel.web.hosts.forms, panel.web.jobs.words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from panel.nginx.grammar import display_name
from panel.web.hosts.forms import LABELS
from panel.web.jobs.words import KINDS

NOUNS = {
    "proxy_host": "Host",
    "certificate": "Certificate",
    "acme_authority": "Authority",
    "dns_credential": "DNS credential",
    "agent": "Agent",
    "command": "Job",
    "notification_channel": "Notification channel",
    "user": "Person",
    "invitation": "Invitation",
    "panel": "Panel",
}

# What somebody did; {} is the object.
VERBS = {
    "panel:demo": "filled this panel with a demo: nothing before this is real",
    "user:switch_shortcuts": "switched the single-key shortcuts of {}",
    "proxy_host:create": "created host {}",
    "proxy_host:update": "changed host {}",
    "proxy_host:enable": "enabled host {}",
    "proxy_host:disable": "disabled host {}",
    "proxy_host:link": "gave host {} a certificate",
    "proxy_host:unlink": "took the certificate from host {}",
    "proxy_host:delete": "deleted host {}",
    "proxy_host:restore": "brought host {} back",
    "proxy_host:undo": "undid the last change of host {}",
    "proxy_host:roll-back": "brought an earlier version of host {} back",
    "proxy_host:refuse": "refused host {}",
    "proxy_host:certificate-refused": "could not ask for a certificate for host {}",
    "certificate:request": "requested certificate {}",
    "certificate:rehearse": "tried certificate {} on staging",
    "certificate:renew": "asked for the renewal of certificate {}",
    "certificate:update": "changed how certificate {} is renewed",
    "certificate:pause": "paused the renewal of certificate {}",
    "certificate:resume": "resumed the renewal of certificate {}",
    "certificate:revoke": "asked to revoke certificate {}",
    "certificate:take-over": "took certificate {} over from certbot",
    "certificate:upload": "uploaded certificate {}",
    "certificate:replace": "uploaded the successor of certificate {}",
    "certificate:delete": "deleted certificate {}",
    "certificate:found": "found certificate {}",
    "certificate:issued": "has certificate {} now",
    "certificate:renewed": "has a renewed certificate {}",
    "certificate:failed": "could not obtain certificate {}",
    "certificate:vanished": "misses certificate {}",
    "certificate:revoked": "learned that certificate {} is revoked",
    "acme_authority:create": "added authority {}",
    "acme_authority:update": "changed authority {}",
    "acme_authority:delete": "deleted authority {}",
    "acme_authority:default": "made {} the default authority",
    "acme_authority:fallbacks": "changed the order of authorities to fall back on",
    "dns_credential:create": "added DNS credential {}",
    "dns_credential:update": "changed DNS credential {}",
    "dns_credential:delete": "deleted DNS credential {}",
    "agent:create": "added agent {}",
    "agent:join-token": "made a join command for agent {}",
    "agent:join": "let agent {} join",
    "agent:hold-off": "holds agent {} off: two machines use its identity",
    "agent:revoke": "revoked agent {}",
    "agent:apply": "applied everything that is saved on {}",
    "agent:reload": "reloaded nginx of {}",
    "agent:heal": "changed what happens to hand edits on {}",
    "agent:put-back": "put back what was changed by hand on {}",
    "agent:drift": "found hand edits on {}",
    "agent:drift-end": "sees no hand edits on {} any more",
    "agent:docker-found": "reaches Docker on {} again",
    "agent:docker-lost": "does not reach Docker on {} any more",
    "agent:network-lost": "sees that nginx of {} left a network",
    "agent:network-back": "sees nginx of {} in its network again",
    "agent:attach-network": "joined nginx of {} to a network",
    "agent:detach-network": "took nginx of {} out of a network",
    "agent:trust-labels": "changed whether labels of containers on {} are trusted",
    "agent:label-host": "took a host over from labels on {}",
    "command:cancel": "cancelled a job: {}",
    "command:retry": "retried a job: {}",
    "notification_channel:create": "added channel {}",
    "notification_channel:update": "changed channel {}",
    "notification_channel:enable": "switched channel {} on",
    "notification_channel:disable": "switched channel {} off",
    "notification_channel:delete": "deleted channel {}",
    "user:setup": "became the first administrator: {}",
    "user:create": "added {}",
    "user:login": "logged in",
    "user:logout": "logged out",
    "user:login-failed": "tried a wrong password for {}",
    "user:code-failed": "gave the password of {} and a wrong code",
    "user:change_password": "changed the own password",
    "user:reset_password": "gave {} a new password",
    "user:set_role": "changed the role of {}",
    "user:disable": "disabled {}",
    "user:enable": "enabled {}",
    "user:end_session": "ended one of the own sessions",
    "user:end_sessions": "ended sessions of {}",
    "user:turn_on_second_factor": "turned the second factor on",
    "user:turn_off_second_factor": "turned the second factor off",
    "user:reset_second_factor": "took the second factor from {}",
    "user:renew_recovery_codes": "made new recovery codes",
    "user:use_recovery_code": "used a recovery code",
    "user:link_identity": "linked an identity at the provider",
    "user:unlink_identity": "unlinked an identity at the provider",
    "user:hide_first_steps": "put the first steps away",
    "user:show_first_steps": "had the first steps shown again",
    "user:enter": "came by the provider for the first time",
    "user:accept_invitation": "accepted an invitation",
    "invitation:create": "invited somebody: {}",
    "invitation:take_back": "took an invitation back: {}",
}

FIELDS = LABELS | {
    "names": "Names",
    "authority_id": "Authority",
    "source": "Came",
    "is_paused": "Renewal paused",
    "challenge": "Challenge",
    "dns_credential_id": "DNS credential",
    "propagation_seconds": "Wait for DNS, seconds",
    "key_type": "Key",
    "profile": "Profile",
    "not_after": "Ends",
    "name": "Name",
    "directory_url": "Directory",
    "staging_directory_url": "Staging directory",
    "ca_pem": "CA certificate",
    "email": "E-mail",
    "eab_kid": "Key ID",
    "eab_key": "HMAC key",
    "needs_eab": "Needs an external account",
    "is_test": "Test authority",
    "default": "Default authority",
    "fallbacks": "To fall back on",
    "provider": "Provider",
    "role": "Role",
    "is_active": "May log in",
    "second_factor": "Second factor",
    "codes": "Recovery codes",
    "left": "Codes left",
    "by": "By",
    "ended": "Sessions ended",
    "invited_by": "Invited by",
    "is_revoked": "Revoked",
    "join_token": "Join token",
    "hostname": "Machine",
    "heals": "Hand edits are put back",
    "trusts_labels": "Labels are trusted",
    "text": "In nginx's words",
    "sentence": "Why",
    "url": "Address",
}
# Fields that hold the number of another object, and its kind.
REFERENCES = {
    "agent_id": "agent",
    "certificate_id": "certificate",
    "authority_id": "acme_authority",
    "dns_credential_id": "dns_credential",
    "invited_by": "user",
}
_NO_OBJECT = "something"


def phrase(verb: str) -> tuple[str, str]:
    """What was done, in words before and after the object's name."""
    text = VERBS.get(verb, f"{verb.partition(':')[2].replace('-', ' ').replace('_', ' ')} {{}}")
    before, _, after = text.partition("{}")
    return before, after


def action(verb: str) -> str:
    """The same without an object, for a list to choose from: "changed host" becomes "Changed host"."""
    text = " ".join(" ".join(phrase(verb)).split()).removesuffix(":").replace(" :", ":")
    return text[:1].upper() + text[1:]


def verbs_of(noun: str) -> list[str]:
    """What can be done to such an object."""
    return [verb for verb in VERBS if verb.startswith(f"{noun}:")]


def short(noun: str, verb: str) -> str:
    """What was done, said on the object's own page."""
    before, after = phrase(verb)
    it = {"proxy_host": ("host ", "this host"), "certificate": ("certificate ", "this certificate")}.get(noun)
    return f"{before.removesuffix(it[0])}{it[1]}{after}" if it else f"{before}it{after}"


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
        return references.get((noun, str(stored)), f"{NOUNS[noun].lower()} {stored}, deleted since")
    if isinstance(stored, bool):
        return "yes" if stored else "no"
    if stored is None or stored in ("", []):
        return "none"
    if isinstance(stored, list):
        return ", ".join(_one(name, item) for item in stored)
    return str(stored)


def _one(name: str, item: Any) -> str:
    if isinstance(item, dict):
        return str(item.get("path") or item.get("name") or len(item))
    return display_name(str(item)) if name in {"domain_names", "names"} else str(item)
