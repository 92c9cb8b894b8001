"""Agents for people: cards, one agent's page, adding and revoking.
May import: nothing."""
