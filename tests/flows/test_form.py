"""The form that the dashboard makes of the flow's parameters, and the check that a server makes with it.

Invariants: every policy is in it with its type and a description of each option; what a run file may say passes, also
with the policies that share their options with others; a wrong type does not.
"""

import pytest
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools import validate

from flows.optimize import optimize
from optim.registry import KINDS, catalogue


@pytest.fixture(scope="module")
def form():
    return parameter_schema(optimize).model_dump()


def test_every_policy_is_in_the_form_with_its_type_and_its_help(form):
    blocks = form["definitions"].values()
    tagged = [block for block in blocks if "type" in block.get("properties", {})]
    types = [block["properties"]["type"]["const"] for block in tagged]
    assert sorted(types) == sorted(name for kind in KINDS for name in catalogue(kind))
    for block in tagged:
        assert block["description"]
        options = {name: it for name, it in block["properties"].items() if name != "type"}
        assert all("description" in option for option in options.values()), block


def test_settings_as_a_run_file_has_them_pass_the_check(form):
    settings = {
        "problem": "fit:loss",
        "parameter": [{"name": "a", "initial": 1, "lower": 0, "upper": 2}, {"name": "b", "tie": "2*a"}],
        "constraint": ["a < b"],
        "optimizer": [{"type": "Scipy", "algorithm": "Powell"}, {"type": "CMAES", "sigma0": 0.2}],
        "stopper": [{"type": "MaxFunctionCalls", "max": 3}, {"type": "OptimizerType", "optimizer": "CMAES"}],
        "generator": {"type": "List", "points": [[1.0, 2.0], {"a": 0.5}]},
        "optimizer_selector": {"type": "Random"},
        "validation": {"problem": "fit:validation", "every": 3},
        "exit_condition": [{"type": "TimeLimit", "seconds": 60}],
    }
    assert validate({"settings": settings}, form) == []


def test_a_type_that_does_not_exist_does_not_pass(form):
    settings = {"problem": "fit:loss", "stopper": [{"type": "MaxFunctionCals", "max": 3}]}
    assert validate({"settings": settings}, form)
