"""Python loads this by itself in an agent of tests: dns-lexicon, an optional extra whose list of providers takes as long
as the agent's own start, is not installed there. May import: the standard library."""

import sys

sys.modules["lexicon"] = None  # type: ignore[assignment] # which is how Python notes that there is no such module
