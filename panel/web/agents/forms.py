"""The form that names a new agent.
May import: Flask-WTF."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import StringField
from wtforms.validators import ValidationError

from panel.errors import Invalid
from panel.services import agents


class AgentForm(FlaskForm):
    """An agent's name; the rest it tells itself when it joins."""

    name = StringField("Name")

    def validate_name(self, field: StringField) -> None:
        """The shape of a name, in the service's words."""
        try:
            agents.parse_name(field.data or "")
        except Invalid as refusal:
            raise ValidationError(refusal.message) from refusal

    def attach(self, error: Invalid) -> None:
        """Puts the service's refusal at the name."""
        self.name.errors = [*self.name.errors, error.message]
