"""Amazon Route 53, by its REST API of XML, with requests that are signed here.
May import: agent.dns.{aws,http,patience,provider,spec}."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from agent.dns.aws import AwsKey, canonical_query, sign
from agent.dns.patience import pause
from agent.dns.provider import TTL, HttpProvider, unquoted
from agent.dns.spec import DnsFailure, DnsProviderField, DnsProviderInfo, TxtRecord

if TYPE_CHECKING:
    from agent.dns.http import Answer

_XMLNS = "https://route53.amazonaws.com/doc/2013-04-01/"
_API = "/2013-04-01"
# Seconds between looks at a change, at first and at most; it usually takes half a minute.
_FIRST_LOOK, _LAST_LOOK = 0.2, 5.0
_TRIES = 5
# What its error codes mean. Throttling is HTTP 400 here.
_BUSY = {"Throttling", "PriorRequestNotComplete", "ThrottlingException"}
_WRONG_KEY = {"InvalidClientTokenId", "SignatureDoesNotMatch", "InvalidSignature", "MissingAuthenticationToken"}
_EXPIRED = {"ExpiredToken", "RequestExpired"}


@dataclass(frozen=True)
class _RecordSet:
    """The TXT values of one name, in presentation form, with their TTL."""

    name: str
    ttl: str
    values: tuple[str, ...]

    def change(self, action: str) -> str:
        """As part of a batch of changes."""
        records = "".join(f"<ResourceRecord><Value>{escape(value)}</Value></ResourceRecord>" for value in self.values)
        return (
            f"<Change><Action>{action}</Action><ResourceRecordSet><Name>{escape(self.name)}</Name><Type>TXT</Type>"
            f"<TTL>{escape(self.ttl)}</TTL><ResourceRecords>{records}</ResourceRecords></ResourceRecordSet></Change>"
        )


class Route53(HttpProvider):
    """https://docs.aws.amazon.com/Route53/latest/APIReference/"""

    base_url = "https://route53.amazonaws.com"
    info: ClassVar = DnsProviderInfo(
        "route53",
        "Amazon Route 53",
        "Make an access key whose policy allows route53:ListHostedZonesByName and route53:GetChange, and, for the one "
        "hosted zone, route53:ListResourceRecordSets and route53:ChangeResourceRecordSets (TXT records of "
        "_acme-challenge names suffice).",
        (
            DnsProviderField("access_key_id", "Access key id", "AKIA…"),
            DnsProviderField("secret_access_key", "Secret access key", secret=True),
            DnsProviderField("session_token", "Session token", "Of temporary keys.", secret=True, optional=True),
            DnsProviderField("hosted_zone_id", "Hosted zone id", "Found by itself when empty.", optional=True),
        ),
    )

    def _add(self, zone: str, record: TxtRecord) -> None:
        self._change(zone, record.name, add=f'"{record.value}"')

    def _remove(self, zone: str, record: TxtRecord) -> None:
        self._change(zone, record.name, drop=f'"{record.value}"')

    def _values(self, zone: str, name: str) -> list[str]:
        found = self._record_set(zone, self._zone_id(zone), name)
        return [unquoted(value) for value in found.values] if found else []

    def _zones(self) -> list[str]:
        if self.job.values["hosted_zone_id"]:
            return []
        tree = self._call("GET", "/hostedzonesbyname", {"maxitems": "100"}, "")
        return [_text(item, "Name") for item in tree.iter(_tag("HostedZone")) if not _is_private(item)]

    def _change(self, zone: str, name: str, add: str = "", drop: str = "") -> None:
        """Replaces the set by one with or without a value.

        The old set is deleted in the same batch, and only as it was read: when somebody else changed it meanwhile,
        the whole batch is refused, and it is read again.
        """
        zone_id = self._zone_id(zone)
        for left in reversed(range(_TRIES)):
            old = self._record_set(zone, zone_id, name)
            before = old.values if old else ()
            after = tuple(value for value in before if value != drop)
            if add and add not in after:
                after = (*after, add)
            if after == before:
                return
            changes = old.change("DELETE") if old else ""
            if after:
                changes += _RecordSet(f"{name}.", old.ttl if old else str(TTL), after).change("CREATE")
            if self._submit(zone, zone_id, changes, is_last=not left):
                return

    def _submit(self, zone: str, zone_id: str, changes: str, *, is_last: bool) -> bool:
        body = (
            f'<?xml version="1.0" encoding="UTF-8"?><ChangeResourceRecordSetsRequest xmlns="{_XMLNS}"><ChangeBatch>'
            f"<Changes>{changes}</Changes></ChangeBatch></ChangeResourceRecordSetsRequest>"
        )
        answer = self._send("POST", f"/hostedzone/{zone_id}/rrset", {}, body.encode())
        if _code(answer) == "InvalidChangeBatch" and not is_last:
            return False
        tree, seconds = self._tree(answer, zone), _FIRST_LOOK
        while self.job.settle and _text(tree, "Status") != "INSYNC":
            pause(self.job.guard, seconds)
            seconds = min(seconds * 1.5, _LAST_LOOK)
            change = _text(tree, "Id").removeprefix("/change/")
            tree = self._call("GET", f"/change/{change}", {}, zone)
        return True

    def _zone_id(self, zone: str) -> str:
        if self.job.values["hosted_zone_id"]:
            return self.job.values["hosted_zone_id"].removeprefix("/hostedzone/")
        tree = self._call("GET", "/hostedzonesbyname", {"dnsname": f"{zone}.", "maxitems": "10"}, zone)
        for item in tree.iter(_tag("HostedZone")):
            if _text(item, "Name").rstrip(".").lower() == zone and not _is_private(item):
                return _text(item, "Id").removeprefix("/hostedzone/")
        raise self.missing(zone)

    def _record_set(self, zone: str, zone_id: str, name: str) -> _RecordSet | None:
        params = {"name": f"{name}.", "type": "TXT", "maxitems": "1"}
        tree = self._call("GET", f"/hostedzone/{zone_id}/rrset", params, zone)
        for item in tree.iter(_tag("ResourceRecordSet")):
            found = _text(item, "Name")
            if found.rstrip(".").lower() == name and _text(item, "Type") == "TXT":
                values = tuple(value.text or "" for value in item.iter(_tag("Value")))
                return _RecordSet(found, _text(item, "TTL"), values)
        return None

    def _call(self, method: str, path: str, params: dict[str, str], zone: str) -> ET.Element:
        return self._tree(self._send(method, path, params, b""), zone)

    def _send(self, method: str, path: str, params: dict[str, str], body: bytes) -> Answer:
        for attempt in range(_TRIES):
            answer = self._send_once(method, path, params, body)
            if answer.ok or _code(answer) not in _BUSY or attempt == _TRIES - 1:
                break
            pause(self.job.guard, 2.0**attempt)
        return answer

    def _send_once(self, method: str, path: str, params: dict[str, str], body: bytes) -> Answer:
        values, host = self.job.values, urlsplit(self.api.base_url).netloc
        key = AwsKey(values["access_key_id"], values["secret_access_key"], values["session_token"])
        headers = {"Content-Type": "application/xml"} if body else {}
        signed = sign(
            key,
            method,
            host,
            _API + path,
            params,
            headers=headers,
            body=body,
            region="us-east-1",
            service="route53",
            now=datetime.now(UTC),
        )
        query = canonical_query(params)
        return self.api.call(method, f"{_API}{path}{'?' if query else ''}{query}", body=body, headers=signed)

    def _tree(self, answer: Answer, zone: str) -> ET.Element:
        if not answer.ok:
            raise self.refusal(answer, zone)
        return _parsed(answer.body)

    def refusal(self, answer: Answer, zone: str) -> DnsFailure:
        """By its code: its HTTP status is 403 for almost everything."""
        code = _code(answer)
        if code in _WRONG_KEY:
            sentence = "Amazon does not accept the access key: its id or its secret is wrong."
            return DnsFailure("dns_credential", sentence, self.info.help, answer.detail)
        if code in _EXPIRED:
            sentence = "Amazon does not accept the request: the session token has expired, or this clock is wrong."
            return DnsFailure("dns_credential", sentence, "Use a key that lasts, or set the clock.", answer.detail)
        if code == "NoSuchHostedZone":
            return self.missing(zone, answer.detail)
        if code in _BUSY:
            return DnsFailure("dns_provider", "Amazon Route 53 is busy.", "Try again later.", answer.detail)
        return super().refusal(answer, zone)


def _code(answer: Answer) -> str:
    """The code of an error; empty for a success or for something that is no XML."""
    if answer.ok:
        return ""
    try:
        return _text(_parsed(answer.body), "Code")
    except (ValueError, LookupError):
        return ""


def _parsed(body: bytes) -> ET.Element:
    try:
        return ET.fromstring(body)  # noqa: S314 - at most 4 MiB over verified TLS; expat itself refuses entity bombs
    except ET.ParseError as error:
        raise ValueError("not XML") from error


def _tag(name: str) -> str:
    return f"{{{_XMLNS}}}{name}"


def _text(tree: ET.Element, name: str) -> str:
    """The text of the first element of that name, anywhere below. Raises LookupError when there is none."""
    for item in tree.iter():
        if item.tag in (_tag(name), name):
            return item.text or ""
    raise LookupError(name)


def _is_private(zone: ET.Element) -> bool:
    return _text(zone, "PrivateZone") == "true"
