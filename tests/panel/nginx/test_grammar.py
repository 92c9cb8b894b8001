"""What each field takes, in which spelling, and what is said of the rest."""

from __future__ import annotations

import re

import pytest

from panel.nginx import grammar

CONTROLS = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) != "\t"]
SEPARATORS = [
    "\u2028",
    "\u2029",
    "\u00a0",
    "\u3000",
    "\u200b",
    "\u200d",
    "\u202e",
    "\ufeff",
    "\u00ad",
    "\ud800",
    "\U000e0001",
]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("app.example.com", "app.example.com"),
        (" App.Example.COM. ", "app.example.com"),
        ("*.example.com", "*.example.com"),
        ("nas", "nas"),
        ("app.localhost", "app.localhost"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("*.Bücher.example", "*.xn--bcher-kva.example"),
        ("日本語。jp", "xn--wgv71a119e.jp"),
        ("straße.example", "xn--strae-oqa.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("r3---sn-x.example.com", "r3---sn-x.example.com"),
        ("1and1.example", "1and1.example"),
    ],
)
def test_a_name_is_kept_as_nginx_needs_it(text: str, name: str) -> None:
    assert grammar.parse_domain_name(text) == name
    assert grammar.parse_domain_name(name) == name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Write at least one name"),
        ("https://app.example.com:8443/x?y#z", "Write only app.example.com."),
        ("//app.example.com", "Write only app.example.com."),
        ("app.example.com/login", "Write only app.example.com."),
        ("http://me:secret@app.example.com/", "Write only app.example.com."),
        ("app.example.com:8080", "has a port or is an IP address. Only the name belongs here: write app.example.com."),
        ("[::1]", "is an IP address"),
        ("fd00::5", "is an IP address"),
        ("10.0.0.5", "is an IP address"),
        ("1.2.3.4.5", "is an IP address"),
        ("2130706433", "is an IP address"),
        ("0x7f.0.0.0x1", "is an IP address"),
        ("\uff11\uff12\uff17.0.0.1", "is an IP address"),
        ("*.10", "is an IP address"),
        ("me@example.com", "Write only the name after it"),
        ("_", "has a meaning of its own"),
        ("default", "has a meaning of its own"),
        ("default_server", "has a meaning of its own"),
        ("LocalHost", "has a meaning of its own"),
        ("localhost.", "has a meaning of its own"),
        ("a_b.example.com", "Use a hyphen instead"),
        ("~^www\\d+", "an address with a scheme or a path"),
        ("~^www", "Patterns are not possible"),
        (".example.com", "Write both names, example.com and *.example.com."),
        ("*", "the star is not alone at the front"),
        ("www.*", "the star is not alone at the front"),
        ("w*.example.com", "the star is not alone at the front"),
        ("*.*.example.com", "the star is not alone at the front"),
        ("**.example.com", "the star is not alone at the front"),
        ("*.com", "would catch everything under .com"),
        ("a..b", "has a dot too many"),
        ("..", "begins with a dot"),
        ("*.", "has a dot too many"),
        ("a.b..", "has a dot too many"),
        ("-a.example", "begins or ends with a hyphen"),
        ("a-.example", "begins or ends with a hyphen"),
        ("a" * 64 + ".example", "at most 63 characters between two dots"),
        (".".join(["a" * 63] * 4), "at most 253 characters"),
        ("ü" * 60 + ".example", "is not a valid international name"),
        ("xn--zzzzzz--.example", "is not a valid international name"),
        ("a b", "Character 2 of “a b” is a space"),
        ("a;b", "has a “;”"),
        ("$host", "has a “$”"),
        ("a.com; } server { listen 81; root /; #", "is a space"),
        ("{{config}}", "has a “{”"),
        ("a.com\\", "Write only a.com."),
        ('a"b.com', 'has a “"”'),
        ("a\uff3fb.com", "no name may have"),
        ("℀.com", "no name may have: “℀”"),
        ("٣.example٣", "is not a valid international name"),
    ],
)
def test_a_wrong_name_is_told_what_is_wrong_and_what_to_write(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)) as refusal:
        grammar.parse_domain_name(text)
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize("character", [*CONTROLS, *SEPARATORS, "\t"])
def test_no_invisible_character_passes_inside_a_value(character: str) -> None:
    for parse, text in (
        (grammar.parse_domain_name, "a{}b.example"),
        (grammar.parse_forward_host, "a{}b"),
        (grammar.parse_port, "80{}80"),
    ):
        with pytest.raises(ValueError, match="Remove it") as refusal:
            parse(text.format(character))
        assert str(refusal.value).isprintable()


@pytest.mark.parametrize("character", [*CONTROLS, *SEPARATORS])
def test_no_invisible_character_passes_at_the_end_of_a_value(character: str) -> None:
    for parse, text in (
        (grammar.parse_domain_name, "a.b"),
        (grammar.parse_forward_host, "a"),
        (grammar.parse_port, "8"),
    ):
        for whole in (text + character, character + text):
            with pytest.raises(ValueError, match="Remove it"):
                parse(whole)


def test_the_names_of_a_host_are_counted_and_doubles_are_named() -> None:
    hundred = [f"n{number}.example.com" for number in range(100)]
    assert grammar.parse_domain_names(hundred) == tuple(hundred)
    with pytest.raises(ValueError, match="at most 100 names; these are 101"):
        grammar.parse_domain_names([*hundred, "one.more.example"])
    with pytest.raises(ValueError, match=r"“a\.example” is written twice"):
        grammar.parse_domain_names(["a.example", "b.example", "A.Example."])
    with pytest.raises(ValueError, match="at least one name"):
        grammar.parse_domain_names([])


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("app.example.com", "app.example.com"),
        ("*.xn--bcher-kva.example", "*.bücher.example"),
        ("xn--wgv71a119e.jp", "日本語.jp"),
        ("xn--e1afmkfd.xn--p1ai", "пример.рф"),
        ("xn--80ak6aa92e.com", "xn--80ak6aa92e.com"),  # all Cyrillic, looks like apple
        ("xn--pple-43d.com", "xn--pple-43d.com"),  # its first letter is Cyrillic
        ("xn--ggle-55da.com", "xn--ggle-55da.com"),  # its two o are Cyrillic
        ("xn--pypal-4ve.com", "xn--pypal-4ve.com"),
        ("xn--zzzzzz--.com", "xn--zzzzzz--.com"),
    ],
)
def test_a_name_is_shown_in_unicode_unless_it_could_pass_for_another(name: str, shown: str) -> None:
    assert grammar.display_name(name) == shown


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("app", "app"),
        ("My_App_1", "my_app_1"),
        ("_internal.stack", "_internal.stack"),
        ("backend.example.com.", "backend.example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("10.0.0.5", "10.0.0.5"),
        ("127.0.0.1", "127.0.0.1"),
        ("\uff11\uff10.0.0.5", "10.0.0.5"),
        ("::1", "::1"),
        ("[FD00:0:0:0::5]", "fd00::5"),
        ("::ffff:10.0.0.5", "10.0.0.5"),
        ("localhost", "localhost"),
    ],
)
def test_an_upstream_is_kept_in_one_spelling(text: str, host: str) -> None:
    assert grammar.parse_forward_host(text) == host
    assert grammar.parse_forward_host(host) == host


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Write the name or address of the upstream"),
        ("http://10.0.0.5:3000/x", "Write only 10.0.0.5."),
        ("10.0.0.5:3000", "has a port. Write only 10.0.0.5 here"),
        ("app:3000", "has a port. Write only app here"),
        ("[::1]:3000", "has a port. Write only [::1] here"),
        ("10.0.0.1/33", "Write only 10.0.0.1."),
        ("unix:/run/app.sock", "A socket file cannot be an upstream"),
        ("UNIX:app", "A socket file cannot be an upstream"),
        ("127.0.0.1$request_uri", "has a “$”"),
        ("$upstream", "has a “$”"),
        ("x;return", "has a “;”"),
        ("{{config}}", "has a “{”"),
        ("10.0.0.256", "not a valid IP address"),
        ("10.0.0", "not a valid IP address"),
        ("010.0.0.5", "not a valid IP address"),
        ("0x7f000001", "not a valid IP address"),
        ("2130706433", "not a valid IP address"),
        ("127.1", "not a valid IP address"),
        ("99999999999999999999", "not a valid IP address"),
        ("fe80::1%eth0", "names a network card"),
        ("fe80::1", "link-local or metadata"),
        ("169.254.169.254", "link-local or metadata"),
        ("169.254.0.1", "link-local or metadata"),
        ("::ffff:169.254.169.254", "link-local or metadata"),
        ("::ffff:a9fe:a9fe", "link-local or metadata"),
        ("::169.254.169.254", "link-local or metadata"),
        ("64:ff9b::a9fe:a9fe", "link-local or metadata"),
        ("2002:a9fe:a9fe::", "link-local or metadata"),
        ("fd00:ec2::254", "link-local or metadata"),
        ("100.100.100.200", "link-local or metadata"),
        ("metadata.google.internal", "the metadata service of a cloud"),
        ("0.0.0.0", "not the address of one machine"),
        ("::", "not the address of one machine"),
        ("224.0.0.1", "not the address of one machine"),
        ("ff02::1", "not the address of one machine"),
        ("255.255.255.255", "not the address of one machine"),
        ("gggg::1", "not a valid IPv6 address"),
        (":::", "not a valid IPv6 address"),
        ("[::1", "not a valid IPv6 address"),
        ("waypost_agent", "kept for Waypost itself"),
        ("a..b", "has a dot too many"),
        ("-a", "begins or ends with a hyphen"),
        ("a" * 64, "at most 63 characters"),
        ("a b", "is a space"),
    ],
)
def test_a_wrong_upstream_is_told_what_is_wrong_and_what_to_write(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)) as refusal:
        grammar.parse_forward_host(text)
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize(("text", "port"), [("1", 1), (" 8080 ", 8080), ("65535", 65535), (443, 443)])
def test_a_port_is_a_number(text: str | int, port: int) -> None:
    assert grammar.parse_port(text) == port


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Write a port from 1 to 65535"),
        ("808O", "The last character is the letter O: use the digit 0."),
        ("o80", "The first character is the letter O"),
        ("8l80", "Character 2 is the letter L: use the digit 1."),
        ("80a", "The last character is the letter “a”: use digits only."),
        ("8٣", "not an ordinary digit"),
        ("\uff18\uff10", "not an ordinary digit"),
        ("²", "not an ordinary digit"),
        ("+80", "“+”: use digits only"),
        ("-1", "“-”: use digits only"),
        ("80.0", "“.”: use digits only"),
        ("1_000", "“_”: use digits only"),
        ("0", "Ports go from 1 to 65535"),
        ("65536", "Ports go from 1 to 65535"),
        ("99999999999999999999", "Ports go from 1 to 65535"),
        ("9" * 10_000, "Ports go from 1 to 65535"),
        ("080", "Write 80 without a leading zero"),
        (70000, "Ports go from 1 to 65535"),
        (-1, "use digits only"),
    ],
)
def test_a_wrong_port_is_told_which_character_is_wrong(text: str | int, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)) as refusal:
        grammar.parse_port(text)
    assert len(str(refusal.value)) < 200


def test_notes_have_plain_line_ends_and_no_controls() -> None:
    assert grammar.check_notes("one\r\ntwo\rthree\tü 🙂") == "one\ntwo\nthree\tü 🙂"
    assert len(grammar.check_notes("x" * 2000)) == 2000
    with pytest.raises(ValueError, match="at most 2000 characters; these are 2001"):
        grammar.check_notes("x" * 2001)
    for character in ("\0", "\x1b", "\x7f", "\x85", "\ud800"):
        with pytest.raises(ValueError, match="control character"):
            grammar.check_notes(f"a{character}b")


@pytest.mark.parametrize("scheme", ["ftp", "HTTP", "", "http://", "https\n"])
def test_only_http_and_https_are_spoken(scheme: str) -> None:
    assert grammar.parse_forward_scheme("https") == "https"
    with pytest.raises(ValueError, match="Choose http or https"):
        grammar.parse_forward_scheme(scheme)
