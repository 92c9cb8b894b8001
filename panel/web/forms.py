"""What all forms share.
May import: Flask-WTF, panel.errors."""

from __future__ import annotations

from flask_wtf import FlaskForm

from panel.errors import Invalid


class Form(FlaskForm):  # type: ignore[misc]
    """A form that can carry what the facts refused."""

    def attach(self, refusal: Invalid) -> None:
        """Shows the sentence at its field, or at the first one when the form has no such field."""
        field = self._fields.get(refusal.field) or next(iter(self._fields.values()))
        field.errors = [*field.errors, refusal.message]
