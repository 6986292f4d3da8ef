"""Text from elsewhere, as a terminal may show it."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What moves the cursor, rings, changes colours or the direction of writing, or cannot be written at all."""


def printable(text: str) -> str:
    """The text, with control characters spelled out, as in `\\x1b`; lines and tabs stay.

    What a loss raised, or a store from somewhere else says, may have sequences that a terminal obeys.
    """
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)
