"""How run files call the settings of a model: in snake_case, or in ParAMS' CamelCase and any case."""

from __future__ import annotations

from typing import Any, NamedTuple, get_args

from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo


class Setting(NamedTuple):
    """A field of a model.

    Attributes:
        name: In Python.
        key: In run files; lists are called by their singular.
        field: What pydantic knows about it.
    """

    name: str
    key: str
    field: FieldInfo

    @property
    def is_repeated(self) -> bool:
        """Whether run files give each item of the list for itself."""
        return self.key != self.name


def settings_of(model: type[BaseModel]) -> list[Setting]:
    """All settings of a model."""
    return [
        Setting(name, next(iter(_aliases(field)), name), field) for name, field in model.model_fields.items()
    ]


def find_setting(model: type[BaseModel], word: str) -> Setting | None:
    """The setting that a word in any spelling means; None: there is no such setting."""
    for setting in settings_of(model):
        if folded(word) in map(folded, (setting.name, *_aliases(setting.field))):
            return setting
    return None


def folded(word: str) -> str:
    """What spellings of one name have in common: `NumberOfFunctionCalls` and `number_of_function_calls`."""
    return word.replace("_", "").casefold()


def camel_case(name: str) -> str:
    """A snake_case name as ParAMS would spell it."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that a setting holds, alone or in a list; None: it holds none."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := model_in(part))), None)


def _aliases(field: FieldInfo) -> list[str]:
    """Other names that are read, too; the preferred one first."""
    alias = field.validation_alias
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias] if alias else []
    return [str(choice) for choice in choices]
