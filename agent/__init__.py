"""The agent: the program beside nginx that does what the panel asks.
May import: nothing; the layers below it are listed in setup.cfg."""

__version__ = "0.1.0"
