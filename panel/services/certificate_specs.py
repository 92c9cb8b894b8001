"""What a person may ask of a certificate: names, authority, challenge, key; checked before anybody else is asked.
May import: panel.services.{authorities,dns_credentials}, panel.nginx.grammar, panel.models, panel.errors."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from panel.errors import Invalid, NotFound
from panel.extensions import db
from panel.i18n import gettext as _
from panel.models import AcmeAuthority, Agent, Certificate, Challenge, DnsCredential, KeyType
from panel.nginx import grammar
from panel.nginx.grammar import display_name
from panel.services import authorities, dns_credentials

MAX_PROPAGATION = 3600  # seconds
# What Let's Encrypt's newer profiles take; others say it themselves when asked.
FEW_NAMES = {"tlsserver": 25, "shortlived": 25}

_PROFILE = re.compile(r"\A[a-z0-9][a-z0-9_-]{0,31}\Z")
# Names that nobody can own in the world's DNS (RFC 6761, 6762, 7686, 8375, and what routers like to use).
_HOME_ENDINGS = ("local", "localhost", "internal", "lan", "home", "corp", "home.arpa", "onion", "invalid")


@dataclass(frozen=True)
class CertificateSpec:
    """A certificate as a person wants it. `authority_id` None asks the default one; `propagation_seconds` 0 asks the
    name servers instead of waiting."""

    agent_id: str
    domain_names: tuple[str, ...]
    authority_id: int | None = None
    challenge: str = Challenge.HTTP_01
    dns_credential_id: int | None = None
    key_type: str = KeyType.EC_256
    profile: str = ""
    propagation_seconds: int = 0


def check(spec: CertificateSpec) -> CertificateSpec:
    """The spec in the grammar's spelling, with an authority. Raises Invalid(field)."""
    agent = _agent(spec.agent_id)
    authority = _authority(spec.authority_id)
    names = _names(spec.domain_names)
    challenge = _word(
        "challenge", Challenge, spec.challenge, _("Choose how the authority is shown that the names are yours.")
    )
    is_by_dns = challenge == Challenge.DNS_01
    checked = replace(
        spec,
        domain_names=names,
        authority_id=authority.id,
        challenge=challenge,
        dns_credential_id=_credential(spec.dns_credential_id, agent).id if is_by_dns else None,
        key_type=_word("key_type", KeyType, spec.key_type, _("Choose one of the keys in the list.")),
        profile=_profile(spec.profile),
        propagation_seconds=_seconds(spec.propagation_seconds) if is_by_dns else 0,
    )
    _check_names(checked, authority)
    return checked


def spec_of(certificate: Certificate) -> CertificateSpec:
    """A certificate as saved, as a spec."""
    return CertificateSpec(
        agent_id=certificate.agent_id,
        domain_names=tuple(certificate.domain_names),
        authority_id=certificate.authority_id,
        challenge=certificate.challenge,
        dns_credential_id=certificate.dns_credential_id,
        key_type=certificate.key_type,
        profile=certificate.profile,
        propagation_seconds=certificate.propagation_seconds,
    )


def _agent(agent_id: str) -> Agent:
    agent = db.session.get(Agent, agent_id)
    if agent is None or agent.is_revoked:
        raise Invalid("agent_id", _("This agent does not exist any more. Choose another one."))
    return agent


def _authority(authority_id: int | None) -> AcmeAuthority:
    if authority_id is None:
        found = authorities.default()
        if found is None:
            raise Invalid("authority_id", _("No authority is the default yet. Choose one."))
    else:
        try:
            found = authorities.get(authority_id)
        except NotFound:
            raise Invalid("authority_id", _("This authority was deleted meanwhile. Choose another one.")) from None
    if not found.directory_url:
        raise Invalid("authority_id", _("%(name)s is not there any more. Choose another authority.", name=found.name))
    if not found.is_ready:
        raise Invalid(
            "authority_id",
            _(
                "%(name)s wants an external account. Enter its two values in the settings, or choose another one.",
                name=found.name,
            ),
        )
    return found


def _names(texts: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return grammar.parse_domain_names(texts)
    except ValueError as error:
        raise Invalid("domain_names", str(error)) from error


def _check_names(spec: CertificateSpec, authority: AcmeAuthority) -> None:
    _check_wildcards(spec)
    _check_number(spec)
    if authority.is_builtin and not authority.dns_server:
        for name in spec.domain_names:
            _refuse_home(name, authority)


def _check_number(spec: CertificateSpec) -> None:
    most = FEW_NAMES.get(spec.profile, grammar.MAX_DOMAIN_NAMES)
    if len(spec.domain_names) > most:
        raise Invalid(
            "domain_names",
            _(
                "The profile %(profile)s takes at most %(most)s names. Split them in two.",
                profile=spec.profile,
                most=most,
            ),
        )


def _check_wildcards(spec: CertificateSpec) -> None:
    wildcards = [name for name in spec.domain_names if name.startswith("*.")]
    if wildcards and spec.challenge != Challenge.DNS_01:
        raise Invalid(
            "challenge",
            _(
                "%(display_name)s is a wildcard, which authorities check by DNS only. Choose the DNS check.",
                display_name=display_name(wildcards[0]),
            ),
        )
    plain = [name for name in spec.domain_names if name not in wildcards]
    covered = [name for name in plain if f"*.{name.partition('.')[2]}" in wildcards]
    if covered:
        raise Invalid(
            "domain_names",
            _(
                "%(display_name)s is covered by the wildcard *.%(display_name_2)s already, and "
                "authorities refuse both together. Remove one of them.",
                display_name=display_name(covered[0]),
                display_name_2=display_name(covered[0].partition(".")[2]),
            ),
        )


def _refuse_home(name: str, authority: AcmeAuthority) -> None:
    """Names that a public authority cannot look up."""
    if "." not in name or any(name == end or name.endswith(f".{end}") for end in _HOME_ENDINGS):
        raise Invalid(
            "domain_names",
            _(
                "%(display_name)s exists at home only, so %(name)s cannot check it. Use a name of"
                " your own domain, or an authority of your own.",
                display_name=display_name(name),
                name=authority.name,
            ),
        )


def _credential(credential_id: int | None, agent: Agent) -> DnsCredential:
    if credential_id is None:
        raise Invalid("dns_credential_id", _("The DNS check needs a DNS credential. Choose one, or add one first."))
    try:
        credential = dns_credentials.get(credential_id)
    except NotFound:
        raise Invalid(
            "dns_credential_id", _("This DNS credential was deleted meanwhile. Choose another one.")
        ) from None
    if agent.dns_providers and credential.provider not in {one["id"] for one in agent.dns_providers}:
        raise Invalid(
            "dns_credential_id",
            _(
                "The agent %(name)s cannot use %(name_2)s: it does not know the provider "
                "%(provider)s. Update it, or choose another one.",
                name=agent.name,
                name_2=credential.name,
                provider=credential.provider,
            ),
        )
    return credential


def _word(field: str, words: type[Challenge] | type[KeyType], text: str, sentence: str) -> str:
    try:
        return words(text).value
    except ValueError:
        raise Invalid(field, sentence) from None


def _profile(text: str) -> str:
    profile = text.strip()
    if profile and not _PROFILE.match(profile):
        raise Invalid("profile", _("A profile is one word, as the authority's documentation names it."))
    return profile


def _seconds(number: int) -> int:
    if not 0 <= number <= MAX_PROPAGATION:
        raise Invalid(
            "propagation_seconds",
            _("Use a number of seconds from 0 to %(max_propagation)s.", max_propagation=MAX_PROPAGATION),
        )
    return number
