"""What a certificate is called on disk: certbot's rule."""

from __future__ import annotations

import pytest

from panel.extensions import db
from panel.models import Agent, Certificate
from panel.services import lineage_names

pytestmark = pytest.mark.usefixtures("context")


def test_names_follow_certbots_rule(agent: Agent) -> None:
    assert lineage_names.choose(agent.id, ("*.a.example", "a.example")) == "a.example"
    for taken, expected in (("A.example", "a.example-0001"), ("a.example-0001", "a.example-0002")):
        db.session.add(Certificate(agent_id=agent.id, name=taken, domain_names=["a.example"]))
        db.session.commit()
        assert lineage_names.choose(agent.id, ("a.example",)) == expected
    assert lineage_names.choose("another agent", ("a.example",)) == "a.example"


@pytest.mark.parametrize("name", ["2001:db8::1", "*.", "../x", "a" * 250, "-a-"])
def test_every_choice_can_be_a_folder(agent: Agent, name: str) -> None:
    assert lineage_names.is_valid(lineage_names.choose(agent.id, (name,)))


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a..b", "-a", "a b", "a\n", "a" * 201])
def test_what_is_no_folder_is_told(name: str) -> None:
    assert not lineage_names.is_valid(name)
