"""The forms of the settings: an authority, a DNS credential as its provider describes it. Facts are the services'.
May import: WTForms, panel.models, panel.services, panel.web.forms."""

from __future__ import annotations

from collections.abc import Mapping

from wtforms import BooleanField, EmailField, PasswordField, StringField, TextAreaField

from panel.i18n import lazy_gettext
from panel.models import AcmeAuthority
from panel.services.authorities import AuthoritySpec
from panel.services.dns_credentials import CredentialSpec
from panel.services.dns_providers import Provider
from panel.web.forms import Form

PREFIX = "values."  # of what a provider calls its fields, so that none is mistaken for one of the form


class AuthorityForm(Form):
    """One directory and the account there. The key of an external account only goes in."""

    name = StringField(lazy_gettext("Name"))
    directory_url = StringField(lazy_gettext("Directory URL"))
    staging_directory_url = StringField(lazy_gettext("Directory URL for rehearsals"))
    ca_pem = TextAreaField(lazy_gettext("CA bundle"))
    email = EmailField(lazy_gettext("E-mail for the account"))
    eab_kid = StringField(lazy_gettext("External account: key ID"))
    eab_key = PasswordField(lazy_gettext("External account: HMAC key"))
    needs_eab = BooleanField(lazy_gettext("Wants an external account"))
    is_test = BooleanField(lazy_gettext("Test authority"))

    def spec(self) -> AuthoritySpec:
        """The values as plain data; an empty key keeps the stored one."""
        return AuthoritySpec(
            name=self.name.data or "",
            directory_url=self.directory_url.data or "",
            staging_directory_url=self.staging_directory_url.data or "",
            ca_pem=self.ca_pem.data or "",
            email=self.email.data or "",
            eab_kid=self.eab_kid.data or "",
            eab_key=self.eab_key.data or None,
            needs_eab=bool(self.needs_eab.data),
            is_test=bool(self.is_test.data),
        )


def authority_values(authority: AcmeAuthority) -> dict[str, object]:
    """An authority as the form's initial values, without its key."""
    names = ("name", "directory_url", "staging_directory_url", "ca_pem", "email", "eab_kid", "needs_eab", "is_test")
    return {name: getattr(authority, name) for name in names}


class CredentialForm(Form):
    """The name; subclasses have the fields of one provider."""

    name = StringField(lazy_gettext("Name"))

    def spec(self, provider: Provider) -> CredentialSpec:
        """The values as plain data; a secret that is left empty keeps the stored one."""
        values = {field.name: self[PREFIX + field.name].data or "" for field in provider.fields}
        return CredentialSpec(self.name.data or "", provider.id, values)


def build(provider: Provider, name: str, stored: Mapping[str, str]) -> CredentialForm:
    """The form of this provider, filled with what may be shown. A secret is never filled in."""
    controls = {}
    for field in provider.fields:
        label = f"{field.label} (optional)" if field.is_optional else field.label
        controls[PREFIX + field.name] = PasswordField(label) if field.is_secret else StringField(label)
    form_class = type("ProviderForm", (CredentialForm,), controls)
    data = {PREFIX + field.name: stored.get(field.name, "") for field in provider.fields if not field.is_secret}
    form: CredentialForm = form_class(data={"name": name, **data})
    return form
