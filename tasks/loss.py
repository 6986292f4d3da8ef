"""Finding a user's loss by its entry point, once per process and session."""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import PathFinder
from typing import Any

from optim.errors import ProblemError
from optim.problem import Loss
from tasks import user_code


def load(entry_point: str, folder: str | None = None) -> Any:
    """Import what an entry point names.

    Args:
        entry_point: `module:attribute`; dots go deeper on both sides.
        folder: Searched last, so that nothing in it shadows an installed module.

    Raises:
        ProblemError: The entry point has another form, or its module or attribute cannot be imported.
    """
    known = user_code.loaded()
    if (entry_point, folder) not in known:
        with user_code.searched(folder):
            known[entry_point, folder] = _load(entry_point, folder)
    return known[entry_point, folder]


def load_loss(entry_point: str, folder: str | None = None) -> Loss:
    """The loss function of a problem, or a plain loss, from its entry point.

    Args:
        entry_point: As for `load`.
        folder: As for `load`.

    Raises:
        ProblemError: It cannot be imported or called.
    """
    found = load(entry_point, folder)
    loss: Loss = getattr(found, "loss", found)
    if not callable(loss):
        raise ProblemError(
            f"{entry_point!r} is of type {type(found).__name__}; it must be a Problem or a function of x"
            f"{_where(entry_point.partition(':')[0], folder)}"
        )
    return loss


def _load(entry_point: str, folder: str | None) -> Any:
    module_name, _, attribute = entry_point.partition(":")
    if not all(name.isidentifier() for name in (*module_name.split("."), *attribute.split("."))):
        raise ProblemError(f"given {entry_point!r}; a problem is module:attribute, as in my_fit:loss")
    found = _import(module_name, folder)
    for name in attribute.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            where = _where(module_name, folder)
            raise ProblemError(f"module {module_name!r} has no attribute {attribute!r}{where}") from None
    return found


def _where(module_name: str, folder: str | None) -> str:
    """Which file an imported module is, and whether the user may have meant another one; empty: it has none."""
    package = module_name.partition(".")[0]
    file = getattr(sys.modules.get(package), "__file__", None)
    found = f"; it is {file or 'a part of Python'}"
    hidden = PathFinder.find_spec(package, [folder]) if folder is not None else None
    if hidden is None or hidden.origin in (None, file):
        return found
    return f"{found}, which goes before {hidden.origin}: give that another name"


def _import(name: str, folder: str | None) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            where = "among the installed packages" + (f" or in {folder}" if folder is not None else "")
            raise ProblemError(f"no module named {error.name!r} {where}") from None
        raise ProblemError(f"importing {name!r} failed: {type(error).__name__}: {error}") from error
    except (Exception, SystemExit) as error:
        raise ProblemError(f"importing {name!r} failed: {type(error).__name__}: {error}") from error
