"""Which names one certificate can have, by the rules of who is asked. Nobody is asked.
May import: agent.acme, tests.agent.acme.check."""

from __future__ import annotations

import pytest

from agent.acme.check.names import check_names
from agent.acme.spec import Challenge, Finding, Level
from tests.agent.acme.check.world import LETS_ENCRYPT, NOBODY, World

PLAIN = ("example.com", "www.example.com")


def check(world: World, *names: str, **more: object) -> list[Finding]:
    spec = world.spec(*names, **{"authority": LETS_ENCRYPT, **more})  # type: ignore[arg-type]
    return check_names(world.question(spec))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Example.com", "capital letters"),
        ("example.com.", "ends with a dot"),
        ("a..example.com", "an empty part"),
        (".example.com", "an empty part"),
        ("-a.example.com", "-a cannot"),
        ("a-.example.com", "a- cannot"),
        ("a_b.example.com", "a_b cannot"),
        ("exa mple.com", "exa mple cannot"),
        ("bücher.example", "bücher cannot"),
        (f"{'a' * 64}.example.com", "cannot stand"),
        (".".join(["a" * 60] * 5) + ".com", "at most 253"),
        ("ab--cd.example.com", "looks like punycode"),
        ("xn--zzzzzzzz9999.example.com", "looks like punycode"),
        ("1.2.3.400", "looks like an IP address"),
        ("1.2.3", "looks like an IP address"),
        ("0x7f.0x1", "looks like an IP address"),
        ("localhost", "private networks"),
        ("printer", "private networks"),
        ("nas.local", "private networks"),
        ("app.internal", "private networks"),
        ("fritz.box.home.arpa", "private networks"),
        ("app.example", "private networks"),
        ("host.madeupending", "private networks"),
        ("com", "everybody registers"),
        ("co.uk", "everybody registers"),
        ("a.b.c.d.e.f.g.h.i.example.com", "more than 10 parts"),
        ("*.*.example.com", "* cannot"),
        ("a.*.example.com", "* cannot"),
        ("*", "cannot"),
        ("192.168.1.5", "private network"),
        ("::1", "private network"),
        ("2001:0db8::1", "usual spelling"),
        ("8.8.8.8", "only with the profile shortlived"),
        ("*.example.org", "the HTTP check cannot prove"),
    ],
)
def test_a_name_that_cannot_be_certified_is_an_error_with_a_next_step(world: World, name: str, words: str) -> None:
    found = check(world, "fine.example.com", name)
    (finding,) = [one for one in found if one.level is Level.ERROR]
    assert words in finding.sentence + finding.next_step
    assert finding.subject == name
    assert finding.next_step
    assert finding.cause in {"name_refused", "private_address", "wildcard_needs_dns"}


@pytest.mark.parametrize("name", ["*.com", "*.co.uk", "*.local"])
def test_a_wildcard_over_an_ending_is_refused_also_with_the_dns_check(world: World, name: str) -> None:
    (finding,) = check(world, name, challenge=Challenge.DNS_01)
    assert finding.level is Level.ERROR


@pytest.mark.parametrize(
    "wanted",
    [
        PLAIN,
        ("xn--bcher-kva.example.com",),
        ("user.github.io",),
        ("github.io",),  # its owner may have one
        ("a.b.c.d.e.f.g.h.example.com",),
        (f"{'a' * 63}.example.com",),
        tuple(f"n{number}.example.com" for number in range(100)),
    ],
)
def test_names_that_are_fine_are_one_ok(world: World, wanted: tuple[str, ...]) -> None:
    (finding,) = check(world, *wanted)
    assert finding.level is Level.OK


def test_a_wildcard_and_its_base_are_fine_with_the_dns_check(world: World) -> None:
    (finding,) = check(world, "*.example.com", "example.com", challenge=Challenge.DNS_01)
    assert finding.level is Level.OK


def test_a_name_that_a_wildcard_covers_is_an_error(world: World) -> None:
    (finding,) = check(world, "*.example.com", "www.example.com", challenge=Challenge.DNS_01)
    assert (finding.level, finding.subject) == (Level.ERROR, "www.example.com")
    assert "*.example.com covers www.example.com already" in finding.sentence


def test_a_name_two_levels_below_a_wildcard_is_not_covered_by_it(world: World) -> None:
    (finding,) = check(world, "*.example.com", "a.b.example.com", challenge=Challenge.DNS_01)
    assert finding.level is Level.OK


def test_a_double_is_said_once(world: World) -> None:
    (finding,) = check(world, "example.com", "example.com")
    assert finding.sentence == "example.com is there 2 times."


def test_no_name_at_all_is_an_error(world: World) -> None:
    (finding,) = check(world)
    assert finding.level is Level.ERROR


@pytest.mark.parametrize(("profile", "most"), [("", 100), ("tlsserver", 25), ("shortlived", 25)])
def test_the_number_of_names_is_limited_by_the_profile(world: World, profile: str, most: int) -> None:
    names = [f"n{number}.example.com" for number in range(most + 1)]
    assert check(world, *names[:-1], profile=profile)[0].level is Level.OK
    (finding,) = check(world, *names, profile=profile)
    assert f"at most {most} names" in finding.sentence


def test_an_address_is_certified_by_the_short_lived_profile_and_never_by_dns(world: World) -> None:
    assert check(world, "8.8.8.8", profile="shortlived")[0].level is Level.OK
    assert check(world, "2606:4700:4700::1111", profile="shortlived")[0].level is Level.OK
    (finding,) = check(world, "8.8.8.8", profile="shortlived", challenge=Challenge.DNS_01)
    assert "DNS cannot prove" in finding.sentence


def test_letters_of_two_scripts_are_a_warning_that_shows_punycode(world: World) -> None:
    found = check(world, "xn--pypal-4ve.com")  # paypal with one Cyrillic letter
    (finding,) = [one for one in found if one.level is Level.WARNING]
    assert "xn--pypal-4ve mixes letters of different scripts (Cyrillic and Latin)" in finding.sentence


@pytest.mark.parametrize("name", ["localhost", "app.test", "192.168.1.5", "nas.local"])
def test_a_test_authority_takes_private_names(world: World, name: str) -> None:
    (finding,) = check(world, name, authority=NOBODY)
    assert finding.level is Level.OK


def test_a_test_authority_takes_no_nonsense(world: World) -> None:
    (finding,) = check(world, "a..test", authority=NOBODY)
    assert finding.level is Level.ERROR
