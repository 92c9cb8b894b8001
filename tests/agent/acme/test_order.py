"""Certificates from a real authority: what is asked for is what comes, and nothing is left behind.
May import: agent.acme, tests.agent.acme."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from agent.acme.causes import CAUSES
from agent.acme.leaf import read_leaf
from agent.acme.pace import Bucket
from agent.acme.schedule import renew_at
from agent.acme.spec import Challenge
from agent.errors import Cancelled, Stopping, TimedOut
from agent.nginx.guard import Guard
from tests.agent.acme.front import Front, Reply
from tests.agent.acme.ordering import Place, at_once, authority_of, leaf_of, names_of, new_key, running_place
from tests.pebble import newer_pebble


def test_one_name_is_issued_in_stages_that_a_person_can_follow(place: Place) -> None:
    issued = place.issue("app.example.com")
    assert names_of(issued) == {"app.example.com"}
    assert place.stages == ["order", "challenge", "validation", "issued", "cleanup"]
    assert "usually takes" in place.text
    assert place.tokens() == []
    assert place.log.url.startswith(f"https://127.0.0.1:{place.pebble.port}/my-order/")


def test_twenty_names_are_checked_together(place: Place) -> None:
    names = [f"n{number}.example.com" for number in range(20)]
    began = time.monotonic()
    issued = place.issue(*names)
    assert names_of(issued) == set(names)
    assert time.monotonic() - began < 15
    assert place.tokens() == []


@pytest.mark.parametrize(
    "key", [new_key(), new_key(curve=ec.SECP384R1()), new_key(2048)], ids=["ec-256", "ec-384", "rsa-2048"]
)
def test_the_certificate_is_for_the_key_that_was_given(place: Place, key: str) -> None:
    issued = place.issue("key.example.com", key=key)
    assert issued.key_pem == key
    assert "PRIVATE" not in repr(issued)
    assert "PRIVATE" not in repr(place.request("key.example.com", key=key))


def test_names_are_asked_for_in_lower_case_and_once(place: Place) -> None:
    issued = place.issue("App.Example.com.", "app.example.com", "xn--bcher-kva.example.com")
    assert names_of(issued) == {"app.example.com", "xn--bcher-kva.example.com"}


def test_a_name_of_64_characters_needs_no_common_name(place: Place) -> None:
    name = f"{'a' * 52}.example.com"
    assert len(name) == 64
    issued = place.issue(name)
    assert names_of(issued) == {name}


@pytest.mark.parametrize("name", ["a b.example.com", "../../etc", "bücher.example", "a..b.example", "x" * 254, ""])
def test_what_is_no_name_is_never_asked_for(place: Place, front: Front, name: str) -> None:
    authority = authority_of(place.pebble, directory_url=front.directory_url, ca_pem=front.ca_pem)
    failure = place.refusal(place.request(name, authority=authority))
    assert failure.cause == "name_refused"
    assert front.seen == []


def test_a_wildcard_needs_the_dns_check(place: Place, front: Front) -> None:
    authority = authority_of(place.pebble, directory_url=front.directory_url, ca_pem=front.ca_pem)
    failure = place.refusal(place.request("*.example.com", "example.com", authority=authority))
    assert failure.cause == "wildcard_needs_dns"
    assert failure.names == ("*.example.com",)
    assert "DNS check" in failure.next_step
    assert front.seen == []


def test_an_address_cannot_be_shown_by_dns(place: Place) -> None:
    assert place.refusal(place.request("127.0.0.1", challenge=Challenge.DNS_01)).cause == "no_challenge"


def test_an_address_gets_a_certificate_of_the_short_profile(tmp_path: Path) -> None:
    """Half of its lifetime is left when it is renewed, and a third of a longer one."""
    profiles = {
        "shortlived": {"description": "six days", "validityPeriod": 518_400},
        "tlsserver": {"description": "45 days", "validityPeriod": 3_888_000},
    }
    with running_place(tmp_path, binary=newer_pebble(), profiles=profiles) as place:
        issued = place.issue("127.0.0.1", profile="shortlived")
        assert names_of(issued) == {"127.0.0.1"}
        leaf = leaf_of(issued)
        assert (leaf.not_valid_after_utc - leaf.not_valid_before_utc).days in {5, 6}
        found = place.authorities.directory(authority_of(place.pebble)).profiles
        assert found == {name: profile["description"] for name, profile in profiles.items()}
        longer = place.issue("app.example.com", profile="tlsserver")
        for pem, share in ((issued.leaf_pem, 2), (longer.leaf_pem, 3)):
            known = read_leaf(pem)
            assert abs((known.not_after - renew_at(known, None)) / known.lifetime - 1 / share) <= 0.011


def test_a_profile_that_the_authority_does_not_know_is_left_out(tmp_path: Path) -> None:
    with running_place(tmp_path, binary=newer_pebble()) as place:
        issued = place.issue("app.example.com", profile="gone")
        assert names_of(issued) == {"app.example.com"}
        assert "refuses the profile" in place.text


def test_a_name_that_was_shown_before_needs_no_challenge(tmp_path: Path) -> None:
    with running_place(tmp_path, authz_reuse=100) as place:
        place.issue("app.example.com")
        place.lines.clear()
        asked = len(place.webroot.asked)
        issued = place.issue("app.example.com")
        assert names_of(issued) == {"app.example.com"}
        assert place.stages == ["order", "issued"]
        assert len(place.webroot.asked) == asked


def test_a_name_is_shown_anew_where_the_authority_forgets(place: Place) -> None:
    for _ in range(2):
        place.lines.clear()
        place.issue("app.example.com")
        assert place.stages == ["order", "challenge", "validation", "issued", "cleanup"]


def test_an_authority_that_takes_its_time_is_waited_for(tmp_path: Path) -> None:
    with running_place(tmp_path, nosleep=False, environment={"PEBBLE_VA_SLEEPTIME": "3"}) as place:
        issued = place.issue("app.example.com", "www.example.com")
        assert names_of(issued) == {"app.example.com", "www.example.com"}


def test_an_order_that_takes_too_long_is_taken_up_again(tmp_path: Path) -> None:
    with running_place(tmp_path, nosleep=False, environment={"PEBBLE_VA_SLEEPTIME": "4"}) as place:
        request = place.request(*[f"n{number}.example.com" for number in range(5)])
        with pytest.raises(TimedOut):
            place.obtain(request, Guard(time.monotonic() + 0.5))
        assert place.tokens() == []
        again = place.again()
        place.obtain(place.request(*request.spec.names, key=request.key_pem, order_url=again.log.url))
        assert place.pebble.issued() == 1


@pytest.mark.parametrize(("event", "error"), [("cancelled", Cancelled), ("stopping", Stopping)])
def test_a_cancelled_or_stopped_order_leaves_no_token(tmp_path: Path, event: str, error: type[Exception]) -> None:
    with running_place(tmp_path, nosleep=False, environment={"PEBBLE_VA_SLEEPTIME": "15"}) as place:
        guard = Guard(time.monotonic() + 60)
        caught = list[BaseException]()

        def run() -> None:
            try:
                place.obtain(place.request("a.example.com", "b.example.com", "c.example.com"), guard)
            except (Cancelled, Stopping) as stopped:
                caught.append(stopped)

        thread = threading.Thread(target=run)
        thread.start()
        while len(place.tokens()) < 3:
            assert thread.is_alive()
            time.sleep(0.01)
        getattr(guard, event).set()
        thread.join(5)
        assert [type(stopped) for stopped in caught] == [error]
        assert place.tokens() == []
        assert place.stages[-1] == "cleanup"


def test_tokens_are_readable_for_nginx_whatever_the_umask_is(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with running_place(tmp_path) as place:
            modes = list[tuple[int, int]]()
            original = place.webroot.asked

            class Watch(list[str]):
                def append(self, asked: str) -> None:
                    original.append(asked)
                    path = place.tokens()[0]
                    modes.append((stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)))

            place.webroot.asked = Watch()
            place.issue("app.example.com")
            assert set(modes) == {(0o644, 0o755)}
    finally:
        os.umask(before)


@pytest.mark.parametrize("token", ["../../../../etc/cron.d/evil", "a/b", "", ".", "x" * 600, "tökentökentökentöken"])
def test_a_token_is_never_a_way_out_of_the_folder(place: Place, front: Front, token: str) -> None:
    authority = authority_of(place.pebble, directory_url=front.directory_url, ca_pem=front.ca_pem)

    def poison(document: dict[str, object]) -> None:
        for challenge in document["challenges"]:  # type: ignore[attr-defined] # JSON
            challenge["token"] = token

    front.change("^/authZ/", poison, times=9)
    failure = place.refusal(place.request("app.example.com", authority=authority))
    assert failure.cause == "strange_answer"
    assert "token" in failure.detail
    assert {path.name for path in place.folder.iterdir()} == {"acme", "front"}
    assert {path.name for path in (place.webroot.folder / ".well-known").iterdir()} == {"acme-challenge"}
    assert place.tokens() == []


def test_one_of_twenty_names_fails_and_is_named(place: Place) -> None:
    names = [f"n{number}.example.com" for number in range(19)]
    place.dns.set_servfail("bad.example.com.")
    try:
        failure = place.refusal(place.request(*names, "bad.example.com"))
    finally:
        place.dns.clear_servfail("bad.example.com.")
    assert failure.names == ("bad.example.com",)
    assert "bad.example.com" in failure.sentence
    assert place.stage == "validation"
    assert place.log.url == ""
    assert place.tokens() == []
    assert names_of(place.issue(*names)) == set(names)


def test_twenty_jobs_at_once_do_not_disturb_each_other(place: Place) -> None:
    places = [place.again() for _ in range(20)]

    def work(number: int) -> object:
        mine = places[number]
        mine.authorities = place.authorities
        return mine.issue(f"p{number}.example.com")

    results = at_once(20, work)
    assert [r for r in results if isinstance(r, BaseException)] == []
    assert [names_of(r) for r in results] == [{f"p{number}.example.com"} for number in range(20)]
    assert len(list((place.folder / "acme").glob("*/account.json"))) == 1


def test_more_names_than_the_authority_takes_are_its_to_refuse(place: Place, front: Front) -> None:
    authority = authority_of(place.pebble, directory_url=front.directory_url, ca_pem=front.ca_pem)
    front.refuse("^/order-plz", "malformed", "Order cannot contain more than 100 identifiers")
    failure = place.refusal(place.request(*[f"n{n}.example.com" for n in range(101)], authority=authority))
    assert failure.cause == "other"
    assert "more than 100 identifiers" in failure.sentence


@pytest.mark.parametrize("fault", ["key", "names", "chain", "text"])
def test_a_certificate_that_was_not_ordered_is_not_taken(place: Place, front: Front, fault: str) -> None:
    authority = authority_of(place.pebble, directory_url=front.directory_url, ca_pem=front.ca_pem)
    key = new_key()
    other = place.issue("other.example.com", key=key if fault == "names" else "")
    mine = place.issue("mine.example.com", key=key)
    body = {
        "key": other.leaf_pem + other.chain_pem,
        "names": other.leaf_pem + other.chain_pem,
        "chain": mine.leaf_pem + other.leaf_pem,
        "text": "<html>Sorry</html>",
    }[fault]
    front.answer("^/certZ/", Reply(200, body.encode(), {"Content-Type": "application/pem-certificate-chain"}))
    failure = place.refusal(place.request("mine.example.com", key=key, authority=authority))
    assert failure.cause == "bad_certificate"
    assert place.stage == "issued"
    assert place.log.url == ""
    assert place.tokens() == []


def test_the_chain_is_complete_and_in_order(tmp_path: Path) -> None:
    with running_place(tmp_path, environment={"PEBBLE_CHAIN_LENGTH": "3", "PEBBLE_ALTERNATE_ROOTS": "2"}) as place:
        issued = place.issue("app.example.com")
        chain = x509.load_pem_x509_certificates((issued.leaf_pem + issued.chain_pem).encode())
        assert len(chain) == 4
        root = x509.load_pem_x509_certificate(place.pebble.root_pem().encode())
        for child, parent in zip(chain, [*chain[1:], root], strict=True):
            child.verify_directly_issued_by(parent)


def test_an_authority_of_elliptic_curves_is_fine_too(tmp_path: Path) -> None:
    with running_place(tmp_path, binary=newer_pebble(), keyAlgorithm="ecdsa") as place:
        assert names_of(place.issue("app.example.com")) == {"app.example.com"}


def test_an_authority_that_is_as_strict_as_it_can_be(tmp_path: Path) -> None:
    with running_place(tmp_path, arguments=("-strict",)) as place:
        assert names_of(place.issue("app.example.com", "www.example.com")) == {"app.example.com", "www.example.com"}


def test_an_agent_without_certificates_loads_no_library_for_them() -> None:
    code = "import sys, agent.acme.order, agent.acme.failures; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"acme", "josepy", "requests", "cryptography", "dns"} & set(done.stdout.split()) == set()


def test_a_bucket_lets_a_burst_pass_and_then_its_rate() -> None:
    bucket = Bucket(10.0, 5)
    waits = [bucket.take() for _ in range(8)]
    assert waits[:5] == [0.0] * 5
    assert 0.05 < waits[5] <= 0.1
    assert 0.25 < waits[7] <= 0.3


def test_the_table_of_causes_has_words_for_all() -> None:
    assert len(CAUSES) >= 31
    for cause in CAUSES.values():
        assert cause.sentence.endswith((".", "}")), cause.id
        assert cause.next_step, cause.id
