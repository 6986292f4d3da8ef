"""How tests are shared out between processes (`pytest -n 2 --dist loadgroup`, as `make test` does)."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests that use the Prefect server go to one process, as there is one server; the others go file by file."""
    for item in items:
        needs_server = "server" in getattr(item, "fixturenames", ())
        item.add_marker(pytest.mark.xdist_group("server" if needs_server else str(item.path)))
