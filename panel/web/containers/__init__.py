"""Containers for people: what runs beside an agent, which hosts lead to it, and hosts that containers offer.
May import: nothing."""
