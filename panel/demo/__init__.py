"""A believable team with all that it does, for looking at a panel that nobody uses yet. Only from the terminal.
May import: panel.services and below."""
