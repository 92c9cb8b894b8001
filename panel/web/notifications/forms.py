"""The form of a channel, made from the fields of its kind.
May import: Flask-WTF, panel.web.{filters,forms}, panel.notifiers.notifier, panel.services.channels."""

from __future__ import annotations

from collections.abc import Mapping

from wtforms import Field as FormField
from wtforms import PasswordField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than its stubs

from panel.i18n import gettext as _
from panel.i18n import lazy_gettext
from panel.notifiers.notifier import Field, Notifier
from panel.services.channels import Stored
from panel.web.filters import day
from panel.web.forms import Form


class ChannelForm(Form):
    """The name; subclasses have the fields of one kind."""

    name = StringField(lazy_gettext("Name"))

    def values(self, notifier: Notifier) -> dict[str, str]:
        """What was entered, by the names of the kind's fields."""
        return {field.name: self[field.name].data or "" for field in notifier.fields}


def build(notifier: Notifier, name: str = "", stored: Stored | None = None) -> ChannelForm:
    """The form of this kind, filled with what is stored. A secret is never filled in."""
    form_class = type("KindForm", (ChannelForm,), {field.name: _control(field) for field in notifier.fields})
    form: ChannelForm = form_class(data={"name": name, **_shown(notifier, stored)})
    return form


def hints(notifier: Notifier, stored: Stored | None = None) -> Mapping[str, str]:
    """The sentence under each field; at a secret that is stored, since when it is."""
    return {field.name: _hint(field, stored) for field in notifier.fields}


def _shown(notifier: Notifier, stored: Stored | None) -> dict[str, str]:
    values = stored.values if stored else {}
    return {field.name: values.get(field.name, field.default) for field in notifier.fields if not field.is_secret}


def _control(field: Field) -> FormField:
    label = f"{field.label} (optional)" if field.is_optional else field.label
    if field.is_secret:
        return PasswordField(label)
    if field.choices:
        choices = [SelectChoice(value, word) for value, word in field.choices]
        return SelectField(label, choices=choices, validate_choice=False)
    return TextAreaField(label) if field.is_multiline else StringField(label)


def _hint(field: Field, stored: Stored | None) -> str:
    set_at = stored.set_at.get(field.name) if stored else None
    if not set_at or not (stored and stored.values.get(field.name)):
        return field.help
    kept = _("Set %(day)s. Leave it empty to keep it; what you enter replaces it.", day=day(set_at))
    return f"{kept} {field.help}".strip()
