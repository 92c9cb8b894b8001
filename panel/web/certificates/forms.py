"""The forms of certificates: what to request, how to renew, what to upload. Only their shape is checked here.
May import: WTForms, panel.models, panel.nginx.grammar, panel.services, panel.web."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wtforms import (
    BooleanField,
    Field,
    HiddenField,
    PasswordField,
    RadioField,
    SelectField,
    StringField,
    TextAreaField,
)
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than its stubs
from wtforms.validators import ValidationError

from panel.i18n import gettext as _
from panel.i18n import lazy_gettext
from panel.models import AcmeAuthority, Agent, Certificate, Challenge, DnsCredential
from panel.nginx import grammar
from panel.services.certificates import CertificateSpec
from panel.web.certificates.words import KEY_TYPES
from panel.web.forms import Form
from panel.web.hosts.forms import MAX_NAMES_TOLD, split_names

CHALLENGES = [
    SelectChoice(Challenge.HTTP_01.value, lazy_gettext("HTTP-01: the authority fetches a file through nginx, port 80")),
    SelectChoice(Challenge.DNS_01.value, lazy_gettext("DNS-01: the authority looks for a record in your DNS")),
]
NO_NUMBER = -1  # what no row and no setting has


class RenewalForm(Form):
    """By whom, how and with which key a certificate is obtained. Values stay as they were typed."""

    authority_id = SelectField(lazy_gettext("Authority"), validate_choice=False)
    challenge = RadioField(lazy_gettext("Challenge"), choices=CHALLENGES, validate_choice=False)
    dns_credential_id = SelectField(lazy_gettext("DNS credential"), validate_choice=False)
    key_type = SelectField(
        lazy_gettext("Key type"),
        choices=[SelectChoice(k.value, v) for k, v in KEY_TYPES.items()],
        validate_choice=False,
    )
    profile = StringField(lazy_gettext("Profile"))
    propagation_seconds = StringField(lazy_gettext("Wait instead of asking the name servers"))

    def validate_propagation_seconds(self, field: Field) -> None:
        """A number of seconds, or nothing."""
        if (field.data or "").strip() and number(field.data) == NO_NUMBER:
            raise ValidationError(_("Write a number of seconds, or leave it empty."))

    def offer(self, authorities: Sequence[AcmeAuthority], credentials: Sequence[DnsCredential]) -> None:
        """The authorities and the credentials to choose from."""
        self.authorities = {str(authority.id): authority for authority in authorities}
        self.authority_id.choices = [
            SelectChoice(id_, authority_label(authority)) for id_, authority in self.authorities.items()
        ]
        none = [] if credentials else [SelectChoice("", _("There is none yet"))]
        self.dns_credential_id.choices = none + [SelectChoice(str(one.id), one.name) for one in credentials]

    @property
    def chosen_authority(self) -> AcmeAuthority | None:
        """The authority that is chosen, as far as it exists."""
        return self.authorities.get(str(self.authority_id.data))

    @property
    def is_by_dns(self) -> bool:
        """Whether the DNS challenge is chosen."""
        return bool(self.challenge.data == Challenge.DNS_01)

    def spec(self, agent_id: str, names: tuple[str, ...]) -> CertificateSpec:
        """The values as plain data. Call it on a form that validated."""
        credential = number(self.dns_credential_id.data)
        return CertificateSpec(
            agent_id=agent_id,
            domain_names=names,
            authority_id=number(self.authority_id.data),
            challenge=str(self.challenge.data),
            dns_credential_id=credential if self.is_by_dns and credential != NO_NUMBER else None,
            key_type=str(self.key_type.data),
            profile=self.profile.data or "",
            propagation_seconds=max(0, number(self.propagation_seconds.data)),
        )


class RequestForm(RenewalForm):
    """A certificate to request: the names and where, besides how."""

    domain_names = TextAreaField(lazy_gettext("Names"))
    agent_id = SelectField(lazy_gettext("Agent"), validate_choice=False)
    host_id = HiddenField()
    force_ssl = BooleanField(lazy_gettext("Redirect HTTP to HTTPS"))

    def validate_domain_names(self, field: Field) -> None:
        """One name per line (or separated by spaces or commas); each wrong one is told, none is dropped."""
        problems = [problem for name in split_names(field.data or "")[:MAX_NAMES_TOLD] if (problem := _problem(name))]
        if problems:
            raise ValidationError(" ".join(problems))
        try:
            grammar.parse_domain_names(split_names(field.data or ""))
        except ValueError as error:
            raise ValidationError(str(error)) from error

    def validate_challenge(self, field: Field) -> None:
        """Authorities check wildcards by DNS only."""
        if self.wildcard and field.data != Challenge.DNS_01:
            raise ValidationError(
                _(
                    "%(wildcard)s is a wildcard, which authorities check by DNS only. Choose the DNS check.",
                    wildcard=self.wildcard,
                )
            )

    def offer_agents(self, agents: Iterable[Agent]) -> None:
        """The agents to choose from."""
        self.agent_id.choices = [SelectChoice(agent.id, agent.name) for agent in agents]

    @property
    def wildcard(self) -> str:
        """The first wildcard that is typed, "" for none."""
        return next((name for name in split_names(self.domain_names.data or "") if name.startswith("*.")), "")

    def request_spec(self) -> CertificateSpec:
        """The whole wish."""
        names = grammar.parse_domain_names(split_names(self.domain_names.data or ""))
        return self.spec(str(self.agent_id.data), names)


class UploadForm(Form):
    """A certificate that was bought or made elsewhere. What is secret is never sent back."""

    certificate_pem = TextAreaField(lazy_gettext("Certificate"))
    chain_pem = TextAreaField(lazy_gettext("Chain"))
    key_pem = TextAreaField(lazy_gettext("Private key"))
    passphrase = PasswordField(lazy_gettext("Passphrase of the key"))
    agent_id = SelectField(lazy_gettext("Agent"), validate_choice=False)

    def offer_agents(self, agents: Iterable[Agent]) -> None:
        """The agents to choose from."""
        self.agent_id.choices = [SelectChoice(agent.id, agent.name) for agent in agents]

    def forget_secrets(self) -> None:
        """Before the form is shown again: the key is pasted anew."""
        self.key_pem.data = ""


def renewal_values(certificate: Certificate, default: AcmeAuthority | None) -> dict[str, object]:
    """A certificate's settings as the form's initial values."""
    authority_id = certificate.authority_id or (default.id if default else "")
    return {
        "authority_id": str(authority_id),
        "challenge": certificate.challenge,
        "dns_credential_id": str(certificate.dns_credential_id or ""),
        "key_type": certificate.key_type,
        "profile": certificate.profile,
        "propagation_seconds": str(certificate.propagation_seconds or ""),
    }


def authority_label(authority: AcmeAuthority) -> str:
    """An authority in a list of choices, with what one must know of it."""
    notes = [_("test, browsers do not trust it")] if authority.is_test else []
    notes += [] if authority.is_ready else [_("needs an external account")]
    return f"{authority.name} ({', '.join(notes)})" if notes else authority.name


def number(text: object) -> int:
    """A plain number that somebody typed or chose; NO_NUMBER for anything else."""
    digits = str(text or "").strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 9 else NO_NUMBER


def _problem(name: str) -> str:
    try:
        grammar.parse_domain_name(name)
    except ValueError as error:
        return str(error)
    return ""
