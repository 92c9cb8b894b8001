"""TXT values in DNS messages. Imported late.
May import: dnspython."""

from __future__ import annotations

import dns.message
import dns.name
import dns.rdatatype
import dns.rdtypes.ANY.TXT


def texts_at(message: dns.message.Message, name: str) -> list[str]:
    """The values that an answer gives to this very name; the strings of one value are joined (RFC 7208, 3.3)."""
    owner = dns.name.from_text(name)
    return [
        b"".join(value.strings).decode("utf-8", "replace")
        for rrset in message.answer
        if rrset.name == owner and rrset.rdtype == dns.rdatatype.TXT
        for value in rrset
        if isinstance(value, dns.rdtypes.ANY.TXT.TXT)
    ]
