"""Engine: how news leaves the panel. One file per kind of channel, and nothing here knows a database.
May import: the standard library, apprise."""
