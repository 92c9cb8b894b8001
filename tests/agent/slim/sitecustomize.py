"""Python loads this by itself in an agent of tests: dns-lexicon is not installed there. It is an optional extra, and to
list its providers takes as long as all else that an agent does to start. May import: the standard library."""

import sys

sys.modules["lexicon"] = None  # type: ignore[assignment] # which is how Python notes that there is no such module
