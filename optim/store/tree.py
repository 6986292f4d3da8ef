"""A commit as xarray shows it: everything is there, and read when it is used."""

from __future__ import annotations

from typing import Any

import fsspec
import xarray as xr
from fsspec.implementations.local import LocalFileSystem
from zarr.abc.store import Store
from zarr.storage import FsspecStore, LocalStore

from optim.store.checked import CheckedStore
from optim.store.older import complete
from optim.store.root import Root


def open_tree(url: str, root: Root) -> xr.DataTree:
    """Open a commit; using it raises DamagedStoreError where a chunk is missing or damaged."""
    store: Any = CheckedStore(_store(url), root)  # xarray's annotation knows no Zarr stores
    tree = xr.open_datatree(store, engine="zarr", consolidated=True)
    tree.attrs = dict(root.attributes)
    complete(tree)
    return tree


def _store(url: str) -> Store:
    filesystem, path = fsspec.url_to_fs(url)
    if isinstance(filesystem, LocalFileSystem):
        return LocalStore(path, read_only=True)
    return FsspecStore.from_url(url, read_only=True)
