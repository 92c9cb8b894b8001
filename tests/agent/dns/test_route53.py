"""Route 53: signatures by AWS's own examples, and an API that recomputes them and refuses a stale batch."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest

from agent.dns.aws import AwsKey, sign
from agent.dns.provider import HttpProvider
from agent.dns.providers.route53 import Route53
from agent.dns.spec import DnsFailure, TxtRecord
from tests.agent.dns.conftest import Opener
from tests.agent.dns.far_side import Asked, FarSide, Said

NAME = "_acme-challenge.example.test"
EXAMPLE = AwsKey("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
XMLNS = "https://route53.amazonaws.com/doc/2013-04-01/"
NOW = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)


@pytest.mark.parametrize(
    ("method", "host", "service", "params", "headers", "body", "signature"),
    [
        # "Examples of the complete Signature Version 4 signing process", AWS General Reference.
        (
            "GET",
            "iam.amazonaws.com",
            "iam",
            {"Version": "2010-05-08", "Action": "ListUsers"},
            {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"},
            b"",
            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
        ),
        # get-vanilla, get-vanilla-query-order-key-case and post-vanilla of AWS's Signature Version 4 test suite.
        (
            "GET",
            "example.amazonaws.com",
            "service",
            {},
            {},
            b"",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            "GET",
            "example.amazonaws.com",
            "service",
            {"Param2": "value2", "Param1": "value1"},
            {},
            b"",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            "POST",
            "example.amazonaws.com",
            "service",
            {},
            {},
            b"",
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
    ],
)
def test_signatures_are_those_of_the_examples(
    method: str, host: str, service: str, params: dict[str, str], headers: dict[str, str], body: bytes, signature: str
) -> None:
    signed = sign(
        EXAMPLE,
        method,
        host,
        "/",
        params,
        headers=headers,
        body=body,
        region="us-east-1",
        service=service,
        now=NOW,
    )
    assert signed["Authorization"].endswith(f"Signature={signature}")
    assert signed["X-Amz-Date"] == "20150830T123600Z"


@dataclass
class Account:
    """One account with a public and a private zone of the same name."""

    allowed: bool = True
    secret: str = EXAMPLE.secret
    sets: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    meddle: str = ""
    looks: int = 0

    def answer(self, asked: Asked) -> Said:
        code = self._refusal(asked)
        if code:
            return _no(403, code)
        path = asked.path.removeprefix("/2013-04-01")
        if path == "/hostedzonesbyname":
            return _xml(
                "<ListHostedZonesByNameResponse",
                "<HostedZones>" + _zone("ZPRIVATE", "true") + _zone("ZPUBLIC", "false") + "</HostedZones>",
            )
        if path == "/change/C1":
            self.looks += 1
            return _change("INSYNC" if self.looks > 1 else "PENDING")
        if path != "/hostedzone/ZPUBLIC/rrset":
            return _no(404, "NoSuchHostedZone")
        return self._list() if asked.method == "GET" else self._submit(asked)

    def _refusal(self, asked: Asked) -> str:
        """Recomputes the signature from what arrived."""
        given = asked.headers["Authorization"]
        names = given.partition("SignedHeaders=")[2].partition(",")[0].split(";")
        headers = {
            n: asked.headers[n.title()] for n in names if n not in {"host", "x-amz-date", "x-amz-security-token"}
        }
        key = AwsKey("AKIDEXAMPLE", self.secret, asked.headers.get("X-Amz-Security-Token", ""))
        now = datetime.strptime(asked.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        wanted = sign(
            key,
            asked.method,
            asked.headers["Host"],
            asked.path,
            asked.query,
            headers=headers,
            body=asked.body,
            region="us-east-1",
            service="route53",
            now=now,
        )
        if wanted["Authorization"] != given:
            return "SignatureDoesNotMatch" if "AKIDEXAMPLE" in given else "InvalidClientTokenId"
        return "" if self.allowed or asked.method == "GET" else "AccessDenied"

    def _list(self) -> Said:
        # Sets come in order from the name that was asked for: another one follows when it is not there.
        found = {**self.sets, "zzz.example.test.": ("300", ['"other"'])}
        name = min(found)
        ttl, values = found[name]
        if self.meddle and name in self.sets:
            self.sets[name] = (ttl, [*values, self.meddle])
            self.meddle = ""
        records = "".join(f"<ResourceRecord><Value>{value}</Value></ResourceRecord>" for value in values)
        return _xml(
            "<ListResourceRecordSetsResponse",
            f"<ResourceRecordSets><ResourceRecordSet><Name>{name}</Name><Type>TXT</Type><TTL>{ttl}</TTL>"
            f"<ResourceRecords>{records}</ResourceRecords></ResourceRecordSet></ResourceRecordSets>",
        )

    def _submit(self, asked: Asked) -> Said:
        for change in ET.fromstring(asked.body).iter(f"{{{XMLNS}}}Change"):
            action, name, ttl = (change.findtext(f".//{{{XMLNS}}}{tag}", "") for tag in ("Action", "Name", "TTL"))
            values = [value.text or "" for value in change.iter(f"{{{XMLNS}}}Value")]
            if action == "DELETE" and self.sets.get(name) != (ttl, values):
                return _no(400, "InvalidChangeBatch")
            if action == "CREATE":
                self.sets[name] = (ttl, values)
            else:
                del self.sets[name]
        return _change("PENDING")


def _xml(root: str, inner: str, status: int = 200) -> Said:
    text = f'<?xml version="1.0"?>\n{root} xmlns="{XMLNS}">{inner}</{root[1:]}>'
    return Said(status, text.encode(), {"Content-Type": "text/xml"})


def _no(status: int, code: str) -> Said:
    return _xml("<ErrorResponse", f"<Error><Type>Sender</Type><Code>{code}</Code><Message>m</Message></Error>", status)


def _zone(zone_id: str, private: str) -> str:
    return (
        f"<HostedZone><Id>/hostedzone/{zone_id}</Id><Name>example.test.</Name>"
        f"<Config><PrivateZone>{private}</PrivateZone></Config></HostedZone>"
    )


def _change(status: str) -> Said:
    return _xml("<ChangeResponse", f"<ChangeInfo><Id>/change/C1</Id><Status>{status}</Status></ChangeInfo>")


@pytest.fixture
def account() -> Account:
    return Account()


def _fields(**changed: str) -> dict[str, str]:
    return {"access_key_id": EXAMPLE.id, "secret_access_key": EXAMPLE.secret, **changed}


@pytest.fixture
def route53(side: FarSide, open_at: Opener) -> HttpProvider:
    return open_at(Route53, side.url, **_fields())


def test_values_stand_side_by_side_and_one_is_removed(account: Account, route53: HttpProvider) -> None:
    for value in ("apex", "wildcard", "apex"):
        route53.add("example.test", TxtRecord(NAME, value))
    assert account.sets == {f"{NAME}.": ("60", ['"apex"', '"wildcard"'])}
    assert route53.values("example.test", NAME) == ["apex", "wildcard"]
    route53.remove("example.test", TxtRecord(NAME, "apex"))
    assert account.sets == {f"{NAME}.": ("60", ['"wildcard"'])}
    route53.remove("example.test", TxtRecord(NAME, "wildcard"))
    assert account.sets == {}
    assert route53.zones() == ["example.test"]


def test_it_waits_until_a_change_is_in_sync(account: Account, route53: HttpProvider) -> None:
    route53.add("example.test", TxtRecord(NAME, "value"))
    assert account.looks == 2


def test_a_check_does_not_wait_for_that(account: Account, route53: HttpProvider) -> None:
    job = replace(route53.job, settle=False)
    Route53(job, Route53.info, route53.api.base_url).add("example.test", TxtRecord(NAME, "value"))
    assert account.looks == 0


def test_a_value_that_comes_between_is_kept(account: Account, route53: HttpProvider) -> None:
    account.sets[f"{NAME}."] = ("300", ['"of-somebody-else"'])
    account.meddle = '"that-came-between"'
    route53.add("example.test", TxtRecord(NAME, "mine"))
    assert account.sets == {f"{NAME}.": ("300", ['"of-somebody-else"', '"that-came-between"', '"mine"'])}


def test_throttling_is_tried_again(route53: HttpProvider, side: FarSide) -> None:
    side.first = [_no(400, "Throttling")]
    assert route53.values("example.test", NAME) == []
    assert len(side.asked) == 3


def test_a_temporary_key_and_a_zone_by_id(account: Account, side: FarSide, open_at: Opener) -> None:
    fields = _fields(session_token="temporary", hosted_zone_id="/hostedzone/ZPUBLIC")
    open_at(Route53, side.url, **fields).add("example.test", TxtRecord(NAME, "value"))
    assert account.sets == {f"{NAME}.": ("60", ['"value"'])}
    assert not any("hostedzonesbyname" in call for call in side.calls())


@pytest.mark.parametrize(
    ("fields", "zone", "allowed", "sentence"),
    [
        (_fields(secret_access_key="wrong"), "example.test", True, "does not accept the access key"),
        (_fields(access_key_id="AKIANOBODY"), "example.test", True, "does not accept the access key"),
        (_fields(), "example.test", False, "valid but may not edit zone example.test"),
        (_fields(), "strange.test", True, "does not reach zone strange.test"),
        (_fields(hosted_zone_id="ZNONE"), "example.test", True, "does not reach zone example.test"),
    ],
)
def test_what_is_wrong_is_told_apart(
    account: Account, side: FarSide, open_at: Opener, fields: dict[str, str], zone: str, allowed: bool, sentence: str
) -> None:
    account.allowed = allowed
    with pytest.raises(DnsFailure, match=sentence) as caught:
        open_at(Route53, side.url, **fields).add(zone, TxtRecord(f"_acme-challenge.{zone}", "value"))
    assert caught.value.cause == "dns_credential"
    assert "route53:ChangeResourceRecordSets" in caught.value.next_step


def test_something_that_is_no_xml_is_told(route53: HttpProvider, side: FarSide) -> None:
    side.first = [Said(200, b"<html>hello")]
    with pytest.raises(DnsFailure, match="does not understand") as caught:
        route53.values("example.test", NAME)
    assert caught.value.cause == "dns_provider"
