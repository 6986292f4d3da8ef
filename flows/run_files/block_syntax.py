"""Reads a run file in ParAMS' block syntax, directed by the settings that a run has.

    Generator
       Type ExploreExploit
       ExploreExploit
          MaxFunctionCalls 2500
       End
    End

gives what `[generator]` with `type` and `max_function_calls` gives in TOML. Names are found in any case and with or
without underscores. Sub-blocks for other types than the block's own are checked and ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from flows.run_files.block_lines import Block, Content, Entry, Item, read_lines
from flows.run_files.block_values import Form, Shape, form_of, row_of, toml_value, value_of, values_of
from flows.run_files.faults import Fault, Path, Places, faults_of, nearest
from flows.run_files.names import Setting, camel_case, find_setting, folded, model_in, settings_of
from flows.settings import RunSettings
from optim.options import Policy
from optim.registry import KINDS, catalogue

WRAPPED: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "ParallelLevels": {"Optimizations": "parallel_optimizers"},
        "DataSet": {"LoggingInterval": "logging_interval"},
    }
)
"""Blocks of ParAMS around settings that stand alone here."""

_CONTENTS = {
    Shape.TABLE: Content.TABLE,
    Shape.ROWS: Content.ROWS,
    Shape.BLOCK: Content.KEYS,
    Shape.BLOCKS: Content.KEYS,
}


class BlocksRead(NamedTuple):
    """What a file in block syntax says.

    Attributes:
        given: Its settings in the form that TOML gives, not yet checked.
        places: The line of each.
        faults: What is wrong and cannot be seen in the settings.
    """

    given: dict[str, Any]
    places: Places
    faults: list[Fault]


def read_blocks(text: str) -> BlocksRead:
    """Read settings in block syntax.

    Raises:
        BlockSyntaxError: The lines do not make blocks.
    """
    reader = _Reader()
    given: dict[str, Any] = {}
    reader.read_settings(_unwrapped(read_lines(text, _content_of), reader), RunSettings, (), given)
    return BlocksRead(given, reader.places, reader.faults)


def sole_option(policy: type[Policy]) -> Setting | None:
    """The setting that may stand beside the policy's name, as in `TimeLimit 3600`; None: there are several."""
    own = [setting for setting in settings_of(policy) if setting.name not in _shared_settings(policy)]
    needed = [setting for setting in own if setting.field.is_required()]
    return next((found[0] for found in (own, needed) if len(found) == 1), None)


def _shared_settings(policy: type[Policy]) -> Iterable[str]:
    """Those that all policies of its kind have."""
    return {name for kind in KINDS if issubclass(policy, kind) for name in kind.model_fields}


class _Reader:
    """Goes through the tree of a file, with all that it finds."""

    def __init__(self) -> None:
        self.places = Places(spell=camel_case)
        self.faults: list[Fault] = []

    def read_settings(
        self, items: Iterable[Item], model: type[BaseModel], path: Path, given: dict[str, Any]
    ) -> None:
        """Put the settings of a model where they are given."""
        for item in items:
            setting = find_setting(model, item.name)
            if setting:
                self._read_setting(item, setting, path, given)
            else:
                self._keep_unknown(item, [known.key for known in settings_of(model)], path, given)

    def report(self, item: Item, path: Path, message: str) -> None:
        """Add a fault."""
        self.faults.append(Fault(f"line {item.line}", self.places.name_of(path), message))

    def _read_setting(self, item: Item, setting: Setting, path: Path, given: dict[str, Any]) -> None:
        form = form_of(setting.field.annotation)
        here = (*path, setting.key)
        if isinstance(item, Block) and form.shape in (Shape.VALUE, Shape.VALUES):
            self.report(item, here, "is a key with a value, and no block")
        elif isinstance(item, Entry) and form.shape in (Shape.BLOCK, Shape.BLOCKS):
            self.report(
                item, here, f"is a block: its keys go on the next lines, and then End; given {item.text!r}"
            )
        elif form.shape in (Shape.VALUES, Shape.ROWS, Shape.BLOCKS):
            values = given.setdefault(setting.key, [])
            self.places.setdefault(here, f"line {item.line}")
            for line, value in self._items(item, setting, form, (*here, len(values))):
                self.places[*here, len(values)] = f"line {line}"
                values.append(value)
        elif self._is_first(item, setting.key, here, given):
            given[setting.key] = self._value(item, setting, form, here)

    def _value(self, item: Item, setting: Setting, form: Form, path: Path) -> Any:
        if isinstance(item, Block):
            return self._table(item, path) if form.shape is Shape.TABLE else self._block(item, setting, path)
        return toml_value(item.text) if form.shape is Shape.TABLE else value_of(item.text, form.kind)

    def _items(self, item: Item, setting: Setting, form: Form, path: Path) -> Iterator[tuple[int, Any]]:
        """What an item adds to a list, each with its line."""
        if isinstance(item, Block) and form.shape is Shape.BLOCKS:
            yield item.line, self._block(item, setting, path)
        elif form.shape is Shape.ROWS:
            for row in item.items if isinstance(item, Block) else [item]:
                if isinstance(row, Entry):
                    yield row.line, row_of(row.text)
        elif isinstance(item, Entry):
            is_one = setting.is_repeated
            values = [value_of(item.text, form.kind)] if is_one else values_of(item.text, form.kind)
            yield from ((item.line, value) for value in values)

    def _block(self, block: Block, setting: Setting, path: Path) -> dict[str, Any]:
        given: dict[str, Any] = {}
        self.places[path] = f"line {block.line}"
        model = model_in(setting.field.annotation)
        if model and issubclass(model, Policy):
            self._read_policy(block, setting, model, path, given)
        elif model:
            self.read_settings(block.items, model, path, given)
        return given

    def _read_policy(
        self, block: Block, setting: Setting, kind: type[Policy], path: Path, given: dict[str, Any]
    ) -> None:
        known = {folded(name): policy for name, policy in catalogue(kind).items()}
        chosen = _default_type(setting)
        others: list[Item] = []
        for item in block.items:
            if not (isinstance(item, Entry) and folded(item.name) == "type"):
                others.append(item)
            elif self._is_first(item, "type", (*path, "type"), given):
                word = value_of(item.text, str)
                chosen = known.get(folded(word))
                given["type"] = chosen.type_name() if chosen else word
        for item in others:
            own = find_setting(chosen, item.name) if chosen else None
            if own:
                self._read_setting(item, own, path, given)
            elif policy := known.get(folded(item.name)):
                self._read_options(item, policy, path, given if policy is chosen else None)
            else:
                options = [option.key for option in settings_of(chosen)] if chosen else []
                self._keep_unknown(item, [*options, *catalogue(kind)], path, given)

    def _read_options(
        self, item: Item, policy: type[Policy], path: Path, given: dict[str, Any] | None
    ) -> None:
        """The options of one type, from a sub-block or from a line with its name; with None for `given`, only check."""
        sole = sole_option(policy)
        if isinstance(item, Block):
            items = item.items
        elif sole:
            items = [Entry(item.line, sole.key, item.text)]
        else:
            self.report(item, (*path, item.name), "is a block: its keys go on the next lines, and then End")
            return
        if given is not None:
            self.read_settings(items, policy, path, given)
        else:
            self._check_ignored(items, policy, path)

    def _check_ignored(self, items: list[Item], policy: type[Policy], path: Path) -> None:
        """Options of a type that was not chosen must be right; those that are missing are not missed."""
        reader = _Reader()
        given: dict[str, Any] = {}
        reader.read_settings(items, policy, (), given)
        try:
            policy.model_validate(given)
        except ValidationError as error:
            reader.faults += faults_of(error, policy, reader.places, ignored={"missing"})
        inside = self.places.name_of((*path, policy.type_name()))
        self.faults += [
            fault._replace(setting=", ".join(filter(None, (inside, fault.setting))))
            for fault in reader.faults
        ]

    def _table(self, block: Block, path: Path) -> dict[str, Any]:
        """Any keys, as they are."""
        table: dict[str, Any] = {}
        for item in block.items:
            here = (*path, item.name)
            if self._is_first(item, item.name, here, table):
                table[item.name] = (
                    value_of(item.text, Any) if isinstance(item, Entry) else self._table(item, here)
                )
        return table

    def _keep_unknown(self, item: Item, allowed: Iterable[str], path: Path, given: dict[str, Any]) -> None:
        """The check of the settings refuses a key that is unknown; a block would hide what is in it."""
        if isinstance(item, Block):
            hint = nearest(item.name, map(camel_case, allowed))
            self.report(item, path, f"unknown block {item.name!r}; {hint}")
        elif self._is_first(item, item.name, (*path, item.name), given):
            given[item.name] = item.text

    def _is_first(self, item: Item, key: str, path: Path, given: dict[str, Any]) -> bool:
        """Whether it is not there yet; a second one is a fault."""
        if key in given:
            self.report(item, path, f"is given twice, first in {self.places[path]}")
            return False
        self.places[path] = f"line {item.line}"
        return True


def _content_of(name: str) -> Content | None:
    """What is in a block of that name; None: it is a key. A name that nobody knows is taken for a block's."""
    return _contents().get(folded(name), Content.KEYS)


@cache
def _contents() -> Mapping[str, Content | None]:
    """For every name that may stand at the start of a line; where it is here a key and there a block, a block."""
    keys: dict[str, Content | None] = {"type": None}
    blocks: dict[str, Content | None] = {folded(name): Content.KEYS for name in WRAPPED}
    policies = [policy for kind in KINDS for policy in catalogue(kind).values()]
    blocks.update({folded(policy.type_name()): Content.KEYS for policy in policies})
    for model in (*_models_in(RunSettings), *policies):
        for setting in settings_of(model):
            content = _CONTENTS.get(form_of(setting.field.annotation).shape)
            (keys if content is None else blocks).update(
                {folded(name): content for name in (setting.name, setting.key)}
            )
    return MappingProxyType({**keys, **blocks})


def _models_in(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for setting in settings_of(model):
        if inner := model_in(setting.field.annotation):
            yield from _models_in(inner)


def _default_type(setting: Setting) -> type[Policy] | None:
    """The type of a block that names none. Where settings demand one, they refuse the block anyway."""
    default = setting.field.default
    first = default[0] if isinstance(default, tuple) and default else default
    return type(first) if isinstance(first, Policy) else None


def _unwrapped(items: Iterable[Item], reader: _Reader) -> Iterator[Item]:
    """Items with the settings that ParAMS wraps taken out of their blocks."""
    wrapped = {folded(block): keys for block, keys in WRAPPED.items()}
    for item in items:
        keys = wrapped.get(folded(item.name))
        if keys is None or isinstance(item, Entry):
            yield item
            continue
        settings = {folded(key): setting for key, setting in keys.items()}
        for inner in item.items:
            if isinstance(inner, Entry) and folded(inner.name) in settings:
                yield Entry(inner.line, settings[folded(inner.name)], inner.text)
            else:
                reader.report(inner, (item.name,), f"unknown key {inner.name!r}; {nearest(inner.name, keys)}")
