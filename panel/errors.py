"""The errors that people read: each carries the sentence that a page shows.
May import: the standard library only."""


class PanelError(Exception):
    """A refusal with a sentence for the person. `status` is what the web door answers."""

    status = 400

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class NotFound(PanelError):
    """There is no such object, or it is gone."""

    status = 404


class Conflict(PanelError):
    """The object's state forbids this now; the sentence says what to do instead."""

    status = 409


class Forbidden(PanelError):
    """The person's role does not allow this."""

    status = 403


class Invalid(PanelError):
    """A value that the form accepted but the facts refuse. `field` names the form field it belongs to."""

    status = 422

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class Throttled(PanelError):
    """Too many attempts. `retry_after` is in whole seconds."""

    status = 429

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after
