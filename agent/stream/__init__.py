"""The wire: one CommandStream session, and what is sent on it.
May import: nothing."""
