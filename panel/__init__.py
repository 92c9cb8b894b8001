"""The panel: where people say what should be, and see what is.
May import: nothing; its rooms are listed in docs/architecture.md."""

__version__ = "0.1.0"
