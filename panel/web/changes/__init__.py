"""What is saved and not live yet: review it, apply it.
May import: nothing."""
