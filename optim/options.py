"""The base of everything that people set: frozen, typed, documented per field, strict about what it takes."""

from __future__ import annotations

from typing import Any

from pydantic import (
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

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )


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
        schema = handler.resolve_ref_schema(handler(core_schema))
        tag = {"const": cls.type_name(), "default": cls.type_name(), "title": "Type", "type": "string"}
        schema["properties"] = {"type": tag, **schema.get("properties", {})}
        return schema

    @model_serializer(mode="wrap")
    def _add_type(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {"type": self.type_name(), **serialize(self)}
