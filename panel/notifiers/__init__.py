"""Engine: how news leaves the panel. One file per kind of channel, and nothing here knows a database.
May import: panel.errors, the standard library, apprise (only in the process that sends)."""
