"""The base of everything that people set: frozen, typed, documented per field, strict about what it takes."""

from __future__ import annotations

import ast
import inspect
import textwrap
from functools import cache
from itertools import pairwise
from typing import Any

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


class Options(BaseModel):
    """Settings of one thing; the docstring below a field is its help text."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def help_texts(cls) -> dict[str, str]:
        """What each field means, by its name.

        They are read when somebody wants them: pydantic would read the source of every class at each start.
        """
        given = {name: field.description or "" for name, field in cls.model_fields.items()}
        found = {name: text for base in reversed(cls.__mro__) for name, text in _docstrings(base).items()}
        return {name: text or found.get(name, "") for name, text in given.items()}

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """With the help texts, for forms that are made from the schema."""
        schema = handler.resolve_ref_schema(handler(core_schema))
        properties = schema.get("properties", {})
        for name, text in cls.help_texts().items():
            field = cls.model_fields[name]
            choices = field.validation_alias
            aliases = choices.choices if isinstance(choices, AliasChoices) else [choices]
            for key in (name, field.alias, *aliases):
                if key in properties:
                    properties[key].setdefault("description", text)
        return schema


class Policy(Options):
    """Something that a run chooses by `type`: an optimizer, stopper, exit condition, generator or selector.

    The `type` in a run file is the name of the class. `model_validate({"type": ..., ...})` and `model_dump()`
    are each other's inverse.
    """

    @classmethod
    def type_name(cls) -> str:
        """The word by which run files call this policy."""
        return cls.__name__

    @model_validator(mode="before")
    @classmethod
    def _drop_type(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("type") == cls.type_name():
            return {key: value for key, value in given.items() if key != "type"}
        return given

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """With the `type`, so that forms made from the schema ask for it, and servers that check it know it."""
        schema = super().__get_pydantic_json_schema__(core_schema, handler)
        tag = {"const": cls.type_name(), "default": cls.type_name(), "title": "Type", "type": "string"}
        schema["properties"] = {"type": tag, **schema.get("properties", {})}
        return schema

    @model_serializer(mode="wrap")
    def _add_type(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {"type": self.type_name(), **serialize(self)}


@cache
def _docstrings(model: type) -> dict[str, str]:
    """The docstrings below the fields of a class, by name; none where its source is not there."""
    if not issubclass(model, Options):
        return {}
    try:
        source = textwrap.dedent(inspect.getsource(model))
    except (OSError, TypeError):
        return {}
    (definition,) = ast.parse(source).body
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in pairwise(getattr(definition, "body", []))
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
