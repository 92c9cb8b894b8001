"""CAA records in zones of BIND, and in Pebble's own name server. Pebble does not look at them; public authorities do.
May import: agent.acme, tests.agent.acme.check."""

from __future__ import annotations

import pytest

from agent.acme.account import Account, AccountFiles, new_account_key
from agent.acme.check.caa import find_policy, judge
from agent.acme.check.lookup import Lookup
from agent.acme.check.surroundings import Deadline, NameServers
from agent.acme.spec import Challenge, Finding, Level
from tests.agent.acme.check.world import LETS_ENCRYPT, NOBODY, Names, World, is_error, running_silence
from tests.challtestsrv import running_challtestsrv

OURS = ("letsencrypt.org",)
KEY = new_account_key()


def check(
    world: World, names: Names | NameServers, name: str, identities: tuple[str, ...] = OURS, **more: object
) -> Finding:
    servers = names.servers if isinstance(names, Names) else names
    account = str(more.pop("account", ""))
    spec = world.spec(name, **{"authority": LETS_ENCRYPT, **more})  # type: ignore[arg-type]
    question = world.question(spec)
    if account:
        AccountFiles(world.config.state_dir / "acme").save(Account(LETS_ENCRYPT.directory_url, KEY, account))
    policy = find_policy(name, Lookup(servers, Deadline(1.0), lambda _: True))
    return judge(name, policy, question, identities)


@pytest.mark.parametrize("name", ["www.good.test", "caa.test", "a.caa.test", "deep.below.a.caa.test"])
def test_no_record_or_one_that_names_us_is_fine(world: World, names: Names, name: str) -> None:
    assert check(world, names, name).level is Level.OK


def test_the_closest_parent_decides(world: World, names: Names) -> None:
    finding = check(world, names, "only.other.caa.test")
    assert is_error(finding, "caa_forbids")
    assert "A CAA record at other.caa.test allows only digicert.com" in finding.sentence
    assert finding.record == 'other.caa.test CAA 0 issue "letsencrypt.org"'


def test_a_cname_leads_to_the_records_of_its_target(world: World, names: Names) -> None:
    assert is_error(check(world, names, "alias.caa.test"), "caa_forbids")
    assert is_error(check(world, names, "shop.good.test"), "caa_forbids")


def test_an_empty_value_forbids_everybody(world: World, names: Names) -> None:
    assert "only nobody" in check(world, names, "nobody.caa.test").sentence


@pytest.mark.parametrize(
    ("name", "is_fine"),
    [
        ("wild.caa.test", True),
        ("*.wild.caa.test", False),
        ("*.wildonly.caa.test", True),
        ("wildonly.caa.test", True),
        ("*.caa.test", True),
    ],
)
def test_issuewild_decides_for_wildcards_and_for_nothing_else(
    world: World, names: Names, name: str, is_fine: bool
) -> None:
    finding = check(world, names, name, challenge=Challenge.DNS_01)
    assert (finding.level is Level.OK) == is_fine
    assert is_fine or finding.record == 'wild.caa.test CAA 0 issuewild "letsencrypt.org"'


def test_an_unknown_tag_that_is_critical_forbids_and_one_that_is_not_does_not(world: World, names: Names) -> None:
    finding = check(world, names, "critical.caa.test")
    assert is_error(finding, "caa_forbids")
    assert "tbs" in finding.sentence
    assert check(world, names, "harmless.caa.test").level is Level.OK
    assert check(world, names, "mail.caa.test").level is Level.OK


def test_validation_methods_must_have_ours(world: World, names: Names) -> None:
    finding = check(world, names, "method.caa.test")
    assert is_error(finding, "caa_forbids")
    assert "but not by the check http-01" in finding.sentence
    assert check(world, names, "method.caa.test", challenge=Challenge.DNS_01).level is Level.OK
    assert check(world, names, "methods.caa.test").level is Level.OK


@pytest.mark.parametrize(
    ("account", "words"),
    [("https://ca.test/acct/2", "only with another account."), ("", "this agent has none there yet")],
)
def test_an_account_must_be_ours(world: World, names: Names, account: str, words: str) -> None:
    finding = check(world, names, "account.caa.test", account=account)
    assert is_error(finding, "caa_forbids")
    assert words in finding.sentence
    assert check(world, names, "account.caa.test", account="https://ca.test/acct/1").level is Level.OK


@pytest.mark.parametrize(("name", "words"), [("broken.test", "they fail"), ("forged.test", "DNSSEC")])
def test_servfail_is_an_error_because_authorities_refuse_then(
    world: World, names: Names, name: str, words: str
) -> None:
    finding = check(world, names, f"www.{name}")
    assert is_error(finding, "dns_broken")
    assert words in finding.sentence


def test_silence_is_a_warning(world: World) -> None:
    with running_silence() as port:
        finding = check(world, NameServers((("127.0.0.1", port),)), "a.test")
    assert (finding.level, finding.cause) == (Level.WARNING, "dns_broken")


def test_what_the_directory_says_of_its_identities_counts(world: World, names: Names) -> None:
    assert check(world, names, "other.caa.test", ("digicert.com",)).level is Level.OK
    assert check(world, names, "caa.test", ()).level is Level.OK  # known of Let's Encrypt


def test_an_authority_that_says_nothing_of_its_identities_is_only_told_of_the_records(
    world: World, names: Names
) -> None:
    finding = check(world, names, "other.caa.test", (), authority=NOBODY)
    assert finding.level is Level.INFO
    assert "digicert.com" in finding.sentence


def test_the_name_server_of_a_test_authority_is_asked_the_same_way(world: World) -> None:
    with running_challtestsrv() as dns:
        dns.add_caa("a.test.", "issue", "digicert.com")
        dns.set_servfail("b.test.")
        servers = NameServers((("127.0.0.1", int(dns.dns_server.rpartition(":")[2])),))
        assert is_error(check(world, servers, "www.a.test"), "caa_forbids")
        assert is_error(check(world, servers, "b.test"), "dns_broken")
        assert check(world, servers, "c.test").level is Level.OK
