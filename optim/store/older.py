"""Stores of older schemas, read as stores of this one."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from optim.store.layout import GROUPS, Column


def complete(tree: xr.DataTree) -> None:
    """Give a store the arrays that its schema did not have yet, full of fill values.

    Schema 1 had no validations, no inactive or tied parameters, and no verdicts of stoppers. Schema 2 did not say how
    many evaluations an optimizer had asked for.

    Args:
        tree: The store; it is changed in memory only.
    """
    for group in GROUPS:
        if group.name and group.name not in tree.children:
            tree[group.name] = xr.DataTree()
        node = tree.children[group.name] if group.name else tree
        rows = node.sizes.get(group.dim, 0)
        missing = {
            column.name: (
                group.dims(column),
                _filled(column, rows),
                column.attributes,
            )
            for column in group.columns
            if column.name not in node.variables
        }
        if missing:
            node.dataset = node.to_dataset(inherit=False).assign(missing)


def _filled(column: Column, rows: int) -> NDArray[Any]:
    """An array that takes no memory, however many rows the store says that it has."""
    dtype = (
        np.dtypes.StringDType() if column.is_string else column.numpy_dtype
    )  # xarray copies arrays of objects
    return np.broadcast_to(np.array(column.fill_value, dtype), (rows,))
