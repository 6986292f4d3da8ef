"""A run as one netCDF file, with the groups of its store."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from optim.errors import ExportError
from optim.store import RunReader


def write_netcdf(reader: RunReader, path: Path) -> None:
    """Write the whole run; `xarray.open_datatree(path)` opens it.

    netCDF has no nested attributes and no lists of words: those are JSON there.

    Args:
        reader: Of the run.
        path: Of the file.

    Raises:
        ExportError: netCDF cannot hold a text or an attribute, as one with a zero byte.
        DamagedStoreError: A chunk is missing or damaged.
    """
    groups = {
        node.path: _plain(node.to_dataset(inherit=False).drop_encoding()) for node in reader.loaded().subtree
    }
    try:
        xr.DataTree.from_dict(groups).to_netcdf(path, engine="h5netcdf")
    except (ValueError, TypeError, OverflowError) as fault:
        raise ExportError(
            f"netCDF cannot hold all of the run ({fault}); export it without --netcdf"
        ) from fault


def _plain(dataset: xr.Dataset) -> xr.Dataset:
    dataset = dataset.assign_attrs(_attributes(dataset.attrs))
    for variable in dataset.variables.values():
        variable.attrs = _attributes(variable.attrs)
    return dataset


def _attributes(attributes: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name): _attribute(value) for name, value in attributes.items()}


def _attribute(value: Any) -> Any:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return value
    if isinstance(value, list) and value and all(type(entry) in (int, float) for entry in value):
        return np.array(value)
    return json.dumps(value)
