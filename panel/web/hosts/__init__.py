"""Hosts for people: list, form, page, preview and the buttons that act on one.
May import: nothing."""
