"""People in a browser: an invitation, a second factor, two steps at the login, sessions that are ended from elsewhere.
May import: tests.person, tests.product, pyotp."""

from __future__ import annotations

import time
from collections.abc import Callable

import pyotp

from tests.person import PASSWORD, Person
from tests.product import Product

Visit = Callable[..., Person]


def invite(administrator: Person, note: str) -> str:
    """The link for somebody."""
    administrator.page.goto("/users/invite")
    administrator.page.fill("[name=note]", note)
    administrator.button("Create link").click()
    administrator.sees("It works once")
    return administrator.page.locator(".cmd code").inner_text()


def accept(person: Person, link: str, name: str) -> None:
    person.page.goto(link)
    person.page.fill("[name=username]", name)
    person.page.fill("[name=password]", PASSWORD)
    person.page.fill("[name=repeat]", PASSWORD)
    person.button("Create account").click()
    person.page.wait_for_url(lambda address: "/invite" not in address)


def set_up_second_factor(person: Person) -> str:
    """The secret of the app; ends on the page of the recovery codes."""
    person.page.goto("/account")
    person.page.get_by_role("link", name="Set up second factor").click()
    person.page.fill("[name=current]", PASSWORD)
    person.button("Go on").click()
    person.sees("Add Waypost to your app")
    secret = person.page.locator(".cmd code").inner_text().replace(" ", "")
    person.page.fill("[name=code]", pyotp.TOTP(secret).generate_otp(int(time.time()) // 30 - 1))
    person.button("Turn on").click()
    person.sees("Keep these recovery codes")
    return secret


def log_in(person: Person, name: str, secret: str) -> None:
    person.page.goto("/users")  # wanted, and refused to strangers
    person.page.fill("[name=username]", name)
    person.page.fill("[name=password]", PASSWORD)
    person.button("Log in").click()
    person.page.wait_for_url("**/login/code**")
    person.page.fill("[name=code]", pyotp.TOTP(secret).now())
    person.button("Log in").click()
    person.page.wait_for_url(lambda address: "/login" not in address)


def test_from_an_invitation_to_a_login_in_two_steps(product: Product, visit: Visit) -> None:
    ada, maya = visit(product), visit(product, shape="phone-dark")
    ada.set_up(product.setup_link)
    link = invite(ada, "Maya")
    accept(maya, link, "maya")
    secret = set_up_second_factor(maya)
    phone = visit(product, shape="phone-light")
    log_in(phone, "maya", secret)
    phone.sees("Not allowed")  # Users is for administrators
    maya.page.goto("/account")
    maya.button("End all others").click()
    maya.sees("Account")
    phone.page.goto("/account")
    assert "/login" in phone.page.url
    ada.page.goto("/users")
    ada.sees("password and second factor")
    ada.page.get_by_role("link", name="maya").click()
    ada.button("Disable maya").click()
    ada.page.click("#confirm-yes")
    ada.sees("Disabled")
    maya.page.goto("/account")
    assert "/login" in maya.page.url


def test_the_second_factor_works_without_javascript(product: Product, visit: Visit) -> None:
    ada = visit(product, javascript=False)
    ada.set_up(product.setup_link)
    secret = set_up_second_factor(ada)
    other = visit(product, javascript=False)
    log_in(other, "ada", secret)
    other.sees("Open invitations")
