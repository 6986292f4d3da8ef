"""Finding a loss by its entry point.

Invariants:

* A plain function and a `Problem` are both found, once per process, and the folder is appended once.
* What cannot be found is an error that tells a wrong name from a fault inside the user's module.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from optim.errors import ProblemError
from tasks import user_code
from tasks.loss import load, load_loss

CODE = """
from optim.problem import Problem
from optim.space import Parameter

def loss(x):
    return float(x[0])

class Group:
    nested = staticmethod(loss)

problem = Problem(loss, [Parameter(name="a", initial=0.5, lower=0.0, upper=1.0)])
number = 7
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(user_code, "_folders", [])
    monkeypatch.delitem(sys.modules, "fits_of_a_user", raising=False)
    user_code.forget("")
    (tmp_path / "fits_of_a_user.py").write_text(CODE)
    (tmp_path / "needs_more.py").write_text("import no_such_package")
    (tmp_path / "has_a_fault.py").write_text("1 / 0")
    return str(tmp_path)


def test_a_function_a_nested_one_and_a_problem_give_the_same_loss(folder):
    loss = load_loss("fits_of_a_user:loss", folder)
    assert loss([3.0]) == 3.0
    assert load_loss("fits_of_a_user:problem", folder) is loss
    assert load_loss("fits_of_a_user:Group.nested", folder) is loss


def test_the_folder_is_appended_once(folder):
    load("fits_of_a_user:loss", folder)
    load("fits_of_a_user:number", folder)
    assert sys.path[-1] == folder
    assert sys.path.count(folder) == 1


@pytest.mark.parametrize(
    ("entry_point", "message"),
    [
        ("fits_of_a_user", "a problem is module:attribute"),
        ("fits_of_a_user:", "a problem is module:attribute"),
        ("fits of a user:loss", "a problem is module:attribute"),
        ("fits_of_a_usr:loss", "no module named 'fits_of_a_usr' among the installed packages or in"),
        ("fits_of_a_user.deeper:loss", "no module named 'fits_of_a_user.deeper'"),
        ("fits_of_a_user:los", "module 'fits_of_a_user' has no attribute 'los'"),
        ("fits_of_a_user:number", "is of type int; it must be a Problem or a function of x"),
        ("needs_more:loss", "importing 'needs_more' failed: .*No module named 'no_such_package'"),
        ("has_a_fault:loss", "importing 'has_a_fault' failed: ZeroDivisionError: division by zero"),
    ],
)
def test_what_is_wrong_is_said(folder, entry_point, message):
    with pytest.raises(ProblemError, match=message):
        load_loss(entry_point, folder)


@pytest.mark.parametrize("entry_point", ["test:loss", "this:loss", "tasks:loss"])
def test_a_file_that_hides_behind_an_installed_module_is_named(folder, entry_point):
    module = entry_point.partition(":")[0]
    (Path(folder) / f"{module}.py").write_text("def loss(x):\n    return 1.0\n")
    hidden = re.escape(f"{folder}/{module}.py: give that another name")
    with pytest.raises(ProblemError, match=f"it is .*{module}.*, which goes before {hidden}"):
        load_loss(entry_point, folder)


def test_a_name_that_is_missing_is_missing_in_a_file(folder):
    with pytest.raises(ProblemError, match=r"has no attribute 'los'; it is .*fits_of_a_user\.py$"):
        load_loss("fits_of_a_user:los", folder)
