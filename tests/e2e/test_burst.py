"""Many edits at once become few reloads, and nobody is refused or dropped meanwhile.
May import: benchmarks.burst."""

from __future__ import annotations

from benchmarks import burst


def test_hosts_that_eight_people_create_at_once_become_few_reloads_without_an_error_or_a_dropped_visit() -> None:
    assert burst.main(48, 8) == 0
