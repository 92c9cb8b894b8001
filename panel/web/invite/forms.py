"""The form of somebody who was invited.
May import: WTForms, panel.web.setup.forms."""

from __future__ import annotations

from panel.web.setup.forms import SetupForm


class InviteForm(SetupForm):
    """A name and a password of one's own; the role is the invitation's."""
