"""What stoppers and exit conditions share: how they are printed."""

from __future__ import annotations

from abc import ABC
from typing import ClassVar

from optim.options import Policy
from optim.surroundings import Surroundings


class Condition(Policy, ABC):
    """A rule with settings, printed as `MaxTotalFunctionCalls(fmax=2500)`."""

    symbols: ClassVar[dict[str, str]] = {}
    """Short names for options when printed; the others are printed under their own."""

    def fault(self, around: Surroundings) -> str:
        """Why it does not go with the other settings; empty: it does."""
        return ""

    @property
    def printed(self) -> str:
        """Its type and all its options, on one line."""
        options = (
            f"{self.symbols.get(name, name)}={getattr(self, name)}" for name in type(self).model_fields
        )
        return f"{self.type_name()}({', '.join(options)})"
