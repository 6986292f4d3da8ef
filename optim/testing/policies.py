"""What holds for a policy of any kind."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from optim.options import Policy


class PolicyConformance:
    """The part of each suite that all kinds share; suites provide the fixture `policy`."""

    def test_it_survives_its_own_settings_as_json(self, policy: Policy) -> None:
        """What the store keeps makes the same policy again."""
        kept = json.loads(json.dumps(policy.model_dump(mode="json")))
        assert kept["type"] == type(policy).type_name()
        assert type(policy).model_validate(kept) == policy

    def test_it_refuses_an_option_that_it_does_not_have(self, policy: Policy) -> None:
        """A misspelt option is never ignored."""
        with pytest.raises(ValidationError, match="no_such_option"):
            type(policy).model_validate({**policy.model_dump(), "no_such_option": 1})

    def test_it_cannot_be_changed(self, policy: Policy) -> None:
        """Settings are frozen."""
        name = next(iter(type(policy).model_fields), "type_name")
        with pytest.raises((ValidationError, AttributeError)):
            setattr(policy, name, None)

    def test_it_and_each_of_its_options_say_what_they_are(self, policy: Policy) -> None:
        """The docstrings are the help that people get."""
        assert type(policy).__doc__
        assert all(type(policy).help_texts().values())
