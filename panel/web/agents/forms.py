"""The form that names a new agent.
May import: Flask-WTF, panel.web.forms, panel.services.agents."""

from __future__ import annotations

from wtforms import StringField
from wtforms.validators import ValidationError

from panel.errors import Invalid
from panel.i18n import lazy_gettext
from panel.services import agents
from panel.web.forms import Form


class AgentForm(Form):
    """An agent's name; the rest it tells itself when it joins."""

    name = StringField(lazy_gettext("Name"))

    def validate_name(self, field: StringField) -> None:
        """The shape of a name, in the service's words."""
        try:
            agents.parse_name(field.data or "")
        except Invalid as refusal:
            raise ValidationError(refusal.message) from refusal
