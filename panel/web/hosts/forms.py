"""The host form: the shape of each field, in plain words; the facts are the services' business.
May import: panel.models, panel.nginx.grammar, panel.services.{proxy_hosts,tags}, panel.web."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from wtforms import BooleanField, Field, HiddenField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than its stubs
from wtforms.validators import ValidationError

from panel.i18n import gettext as _
from panel.i18n import lazy_gettext
from panel.models import Agent, Certificate, ProxyHost
from panel.nginx import grammar
from panel.services import tags
from panel.services.proxy_hosts import ProxyHostSpec
from panel.web.certificates.words import authority
from panel.web.forms import Form

SCHEMES = [SelectChoice(scheme) for scheme in grammar.FORWARD_SCHEMES]
MAX_NAMES_TOLD = 5  # names whose faults are told at once
NAMES_IN_LABEL = 2
REQUEST = "request"  # instead of a certificate's number

LABELS = {
    "domain_names": lazy_gettext("Names"),
    "forward_scheme": lazy_gettext("Scheme"),
    "forward_host": lazy_gettext("Upstream host"),
    "forward_port": lazy_gettext("Upstream port"),
    "websocket": lazy_gettext("WebSocket"),
    "agent_id": lazy_gettext("Agent"),
    "certificate_id": lazy_gettext("Certificate"),
    "force_ssl": lazy_gettext("Redirect to HTTPS"),
    "hsts": "HSTS",
    "http2": "HTTP/2",
    "is_enabled": lazy_gettext("Enabled"),
    "tags": lazy_gettext("Tags"),
    "notes": lazy_gettext("Notes"),
}


SECTIONS = {  # anchor: title, the fields in it
    "routing": (
        lazy_gettext("Names and routing"),
        ("domain_names", "forward_scheme", "forward_host", "forward_port", "websocket"),
    ),
    "tls": ("TLS", ("certificate_id", "force_ssl", "hsts", "http2")),
    "agent": (lazy_gettext("Agent and notes"), ("agent_id", "is_enabled", "notes")),
}


@dataclass(frozen=True)
class Section:
    """One part of the form: where it begins, and how many of its fields need a fix."""

    anchor: str
    title: str
    errors: int


def _checked(name: str) -> dict[str, str]:
    """What makes htmx ask the server about a field as soon as it is left with another value."""
    address, target = f"/hosts/check-field?field={name}", f"#{name}-m"
    how = {"hx-trigger": "change", "hx-swap": "innerHTML", "hx-sync": "this:replace"}
    return {"hx-post": address, "hx-target": target, **how}


class ProxyHostForm(Form):
    """One form for new and existing hosts. Values stay as they were typed when something is refused."""

    domain_names = TextAreaField(LABELS["domain_names"], render_kw=_checked("domain_names"))
    forward_scheme = SelectField(LABELS["forward_scheme"], choices=SCHEMES, validate_choice=False)
    forward_host = StringField(LABELS["forward_host"], render_kw=_checked("forward_host"))
    forward_port = StringField(LABELS["forward_port"], render_kw=_checked("forward_port"))
    websocket = BooleanField(LABELS["websocket"])
    agent_id = SelectField(LABELS["agent_id"], validate_choice=False, render_kw=_checked("agent_id"))
    certificate_id = SelectField(LABELS["certificate_id"], validate_choice=False)
    force_ssl = BooleanField(LABELS["force_ssl"])
    hsts = BooleanField(LABELS["hsts"])
    http2 = BooleanField(LABELS["http2"])
    is_enabled = BooleanField(LABELS["is_enabled"])
    tags = TextAreaField(LABELS["tags"], render_kw=_checked("tags"))
    notes = TextAreaField(LABELS["notes"], render_kw=_checked("notes"))
    version = HiddenField()
    opened = HiddenField()  # the values that the form was opened on: panel.web.hosts.merging
    seen = HiddenField()  # the version of somebody else that the person has compared with

    def validate_domain_names(self, field: Field) -> None:
        """One name per line (or separated by spaces or commas); each wrong one is told, none is dropped."""
        names = split_names(field.data or "")
        told = (_problem(grammar.parse_domain_name, name) for name in names[:MAX_NAMES_TOLD])
        problems = [problem for problem in told if problem]
        if problems:
            raise ValidationError(" ".join(problems))
        _check(grammar.parse_domain_names, names)

    def validate_forward_scheme(self, field: Field) -> None:
        """Only what nginx is told to speak."""
        _check(grammar.parse_forward_scheme, field.data or "")

    def validate_forward_host(self, field: Field) -> None:
        """A name, an IPv4 or an IPv6 address."""
        _check(grammar.parse_forward_host, field.data or "")

    def validate_forward_port(self, field: Field) -> None:
        """A TCP port."""
        _check(grammar.parse_port, field.data or "")

    def validate_agent_id(self, field: Field) -> None:
        """One of the agents offered; whether it may be used is a fact for the service."""
        if not self.offered:
            raise ValidationError(_("There is no agent yet. Add one first, then this host can be saved."))
        if field.data not in self.offered:
            raise ValidationError(_("Choose one of the agents in the list."))

    def validate_certificate_id(self, field: Field) -> None:
        """None, a new one, or a number; whether that certificate is for these names is a fact for the service."""
        text = str(field.data or "")
        if text not in {"", REQUEST} and not _is_number(text):
            raise ValidationError(_("Choose one of the certificates in the list."))

    def validate_tags(self, field: Field) -> None:
        """Short words, a few of them."""
        _check(tags.parse, tags.split(field.data or ""))

    def validate_notes(self, field: Field) -> None:
        """Free text, but no control characters and not without end."""
        _check(grammar.check_notes, field.data or "")

    def offer_agents(self, agents: Iterable[Agent]) -> None:
        """The agents to choose from, by name."""
        self.offered = {agent.id: agent for agent in agents}
        self.agent_id.choices = [SelectChoice(agent.id, agent.name) for agent in self.offered.values()]

    def offer_certificates(self, certificates: Iterable[Certificate]) -> None:
        """The certificates to choose from, and a new one."""
        choices = [SelectChoice("", _("None: plain HTTP")), SelectChoice(REQUEST, _("Request one when it is applied"))]
        choices += [SelectChoice(str(one.id), certificate_label(one)) for one in certificates]
        if self.certificate_id.data not in {choice.value for choice in choices} and self.certificate_id.data:
            choices.append(SelectChoice(str(self.certificate_id.data), _("One that is not for these names")))
        self.certificate_id.choices = choices
        self.offered_certificates = {str(choice.value): str(choice.label) for choice in choices if choice.value}

    @property
    def wants_request(self) -> bool:
        """Whether a certificate is to be requested for the names of this host."""
        return bool(self.certificate_id.data == REQUEST)

    def certificate_words(self) -> str:
        """The chosen certificate as the list of choices calls it; "" for none."""
        return self.offered_certificates.get(str(self.certificate_id.data or ""), "")

    def typed_names(self) -> tuple[str, ...]:
        """The names as far as they can be read."""
        names = split_names(self.domain_names.data or "")
        return tuple(grammar.parse_domain_name(name) for name in names if not _problem(grammar.parse_domain_name, name))

    def chosen_agent(self) -> Agent | None:
        """The agent that is chosen, else the first one; None when there is none."""
        return self.offered.get(str(self.agent_id.data)) or next(iter(self.offered.values()), None)

    def spec(self) -> ProxyHostSpec:
        """The values as plain data. Call it on a form that validated."""
        return ProxyHostSpec(
            agent_id=str(self.agent_id.data),
            domain_names=grammar.parse_domain_names(split_names(self.domain_names.data or "")),
            forward_scheme=str(self.forward_scheme.data),
            forward_host=grammar.parse_forward_host(self.forward_host.data or ""),
            forward_port=grammar.parse_port(self.forward_port.data or ""),
            websocket=bool(self.websocket.data),
            is_enabled=bool(self.is_enabled.data),
            certificate_id=int(self.certificate_id.data) if _is_number(str(self.certificate_id.data or "")) else None,
            force_ssl=bool(self.force_ssl.data),
            hsts=bool(self.hsts.data),
            http2=bool(self.http2.data),
            notes=grammar.check_notes(self.notes.data or ""),
            tags=tags.parse(tags.split(self.tags.data or "")),
        )

    def opened_version(self) -> int:
        """The version that this form was opened on; 0 (which no host has) when the field was tampered with."""
        text = str(self.version.data or "")
        return int(text) if _is_number(text) else 0

    def refusals(self) -> list[tuple[str, str]]:
        """Each field that needs a fix, with its sentence, in the order of the page."""
        return [(name, " ".join(map(str, self._fields[name].errors))) for name in LABELS if self._fields[name].errors]


def sections(form: ProxyHostForm) -> list[Section]:
    """The parts of the form, in the order of the page."""
    refused = {name for name, _ in form.refusals()}
    return [Section(anchor, title, len(refused & set(names))) for anchor, (title, names) in SECTIONS.items()]


def values_of(host: ProxyHost | ProxyHostSpec) -> dict[str, Any]:
    """A host or a draft as the form's initial values."""
    return {
        "domain_names": "\n".join(grammar.display_name(name) for name in host.domain_names),
        "forward_scheme": host.forward_scheme,
        "forward_host": host.forward_host,
        "forward_port": str(host.forward_port or ""),
        "websocket": host.websocket,
        "agent_id": host.agent_id,
        "is_enabled": host.is_enabled,
        "certificate_id": str(host.certificate_id or ""),
        "force_ssl": host.force_ssl,
        "hsts": host.hsts,
        "http2": host.http2,
        "notes": host.notes,
        "tags": "\n".join(host.tags),
    }


def certificate_label(certificate: Certificate) -> str:
    """A certificate in a list of choices: its names, and what tells it from others."""
    names = [grammar.display_name(name) for name in certificate.names[:NAMES_IN_LABEL]]
    more = len(certificate.names) - len(names)
    shown = ", ".join(names) + (_(" and %(more)s more", more=more) if more else "")
    state = "" if certificate.is_present else _(", not there yet")
    return f"{shown} ({authority(certificate)}{state})"


def split_names(text: str) -> list[str]:
    """The names of a textarea. Only plain spaces, tabs, commas and line ends of a browser separate them."""
    for separator in ("\r\n", "\n", "\t", ","):
        text = text.replace(separator, " ")
    return [name for name in text.split(" ") if name]


def _problem(parse: Callable[[Any], object], text: str | list[str]) -> str:
    """The grammar's sentence about `text`, or nothing."""
    try:
        parse(text)
    except ValueError as error:
        return str(error)
    return ""


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9


def _check(parse: Callable[[Any], object], text: str | list[str]) -> None:
    if problem := _problem(parse, text):
        raise ValidationError(problem)
