"""The audit log: who changed what, from where, and taking it back.
May import: nothing."""
