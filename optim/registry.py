"""Finds every policy: the files of a folder, and the entry points of other packages.

A built-in policy is one file in `optim/<kind>s/`. An outside package declares an entry point in the group
`shoal.<kind>s` (`shoal.optimizers`, `shoal.stoppers`, `shoal.exit_conditions`, `shoal.generators`,
`shoal.selectors`) that names its class.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from optim.errors import UnknownPolicyError
from optim.exit_conditions.base import ExitCondition
from optim.generators.base import Generator
from optim.optimizers.base import Optimizer
from optim.options import Policy
from optim.selectors.base import Selector
from optim.stoppers.base import Stopper

KINDS: Mapping[type[Policy], str] = MappingProxyType(
    {
        Optimizer: "optimizers",
        Stopper: "stoppers",
        ExitCondition: "exit_conditions",
        Generator: "generators",
        Selector: "selectors",
    }
)
"""The base class of each kind of policy, and the folder of `optim` where its policies are."""

P = TypeVar("P", bound=Policy)


@cache
def catalogue(kind: type[P]) -> Mapping[str, type[P]]:
    """Every policy of a kind, by the name that run files use.

    Raises:
        UnknownPolicyError: An entry point names something that is no policy of its kind, or a name that is taken.
    """
    found: dict[str, type[P]] = {}
    for policy in (*_built_in(kind), *_from_outside(kind)):
        name = policy.type_name()
        if found.setdefault(name, policy) is not policy:
            raise UnknownPolicyError(f"two policies are called {name!r}: {found[name]} and {policy}")
    return MappingProxyType(dict(sorted(found.items())))


def find(kind: type[P], name: str) -> type[P]:
    """The policy of that name.

    Raises:
        UnknownPolicyError: There is none; the message has the nearest name.
    """
    known = catalogue(kind)
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
        raise UnknownPolicyError(f"unknown {kind.__name__.lower()} {name!r}; {hint}")
    return known[name]


class OneOf:
    """An annotation for a pydantic field that holds any policy of a kind, chosen by its `type`.

    Args:
        default: The type of a block that names none; empty: a block must name one.
    """

    def __init__(self, default: str = "") -> None:
        self._default = default

    def __get_pydantic_core_schema__(self, kind: type[Policy], handler: GetCoreSchemaHandler) -> CoreSchema:
        """A policy object of the kind, or a block that is tagged by `type`."""
        choices = {name: handler.generate_schema(policy) for name, policy in catalogue(kind).items()}

        def accept(given: Any, validate: Callable[[Any], Any]) -> Any:
            return given if isinstance(given, kind) else validate(given)

        return core_schema.no_info_wrap_validator_function(
            accept,
            core_schema.tagged_union_schema(choices, discriminator=self._type_of),
            serialization=core_schema.plain_serializer_function_ser_schema(_dump, info_arg=True),
        )

    def _type_of(self, given: Any) -> str | None:
        return str(given.get("type", self._default)) or None if isinstance(given, dict) else None


def _dump(policy: Policy, info: core_schema.SerializationInfo) -> dict[str, Any]:
    return policy.model_dump(mode=info.mode)


def _built_in(kind: type[P]) -> Iterator[type[P]]:
    package = importlib.import_module(f"optim.{KINDS[kind]}")
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        for member in vars(module).values():
            if _is_policy(member, kind) and member.__module__ == module.__name__:
                yield member


def _from_outside(kind: type[P]) -> Iterator[type[P]]:
    for entry_point in _select()(group=f"shoal.{KINDS[kind]}"):
        policy = entry_point.load()
        if not _is_policy(policy, kind):
            raise UnknownPolicyError(
                f"the entry point {entry_point.name!r} ({entry_point.value}) is no {kind.__name__}"
            )
        yield policy


@cache
def _select() -> Callable[..., Iterable[EntryPoint]]:
    """Selects among the entry points of all packages, which take a while to find."""
    return entry_points().select


def _is_policy(member: Any, kind: type[Policy]) -> bool:
    return inspect.isclass(member) and issubclass(member, kind) and not inspect.isabstract(member)
