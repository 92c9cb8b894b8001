"""The test authority itself: both Pebbles start, and the newer one has what the tests of renewals need.
May import: tests.pebble."""

from __future__ import annotations

from pathlib import Path

import requests

from tests.pebble import newer_pebble, running_challtestsrv, running_pebble


def test_the_machines_own_pebble_answers_and_is_trusted_by_its_own_certificate(tmp_path: Path) -> None:
    with running_challtestsrv() as dns, running_pebble(tmp_path, dns_server=dns.dns_server) as pebble:
        directory = requests.get(pebble.directory_url, verify=str(pebble.ca_file), timeout=10).json()
        assert "newOrder" in directory
        first = pebble.root_pem()
        pebble.restart()
        assert pebble.root_pem() != first


def test_a_newer_pebble_has_renewal_information_and_profiles(tmp_path: Path) -> None:
    profiles = {"shortlived": {"description": "six days", "validityPeriod": 518400}}
    with running_pebble(tmp_path, binary=newer_pebble(), profiles=profiles) as pebble:
        directory = requests.get(pebble.directory_url, verify=str(pebble.ca_file), timeout=10).json()
        assert "renewalInfo" in directory
        assert directory["meta"]["profiles"] == {"shortlived": "six days"}
