"""A run as plain files, from its store alone: also while it goes on, and without the user's code.

`tree` writes the text files that users of ParAMS look for, `tables` CSV, `netcdf` one netCDF file.
"""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from flows.export.netcdf import write_netcdf
from flows.export.tables import write_tables
from flows.export.tree import write_tree
from optim.errors import ExportError, ExportExistsError
from optim.store import RunReader


def export(
    name: str,
    reader: RunReader,
    directory: Path,
    *,
    with_csv: bool = False,
    with_netcdf: bool = False,
    overwrite: bool = False,
) -> None:
    """Write a run's tree of text files, and what else is asked for.

    All of it is written beside `directory` first and moved there at the end, so a failure leaves no half tree.

    Args:
        name: Of the run.
        reader: Of the run.
        directory: Where to; it is made if need be.
        with_csv: Also the tables of the store, each as a CSV file.
        with_netcdf: Also `run.nc`, everything in one netCDF file; needs the extra `netcdf`.
        overwrite: Write into a directory that is not empty; files of other names are left alone.

    Raises:
        ExportExistsError: There is something already, and `overwrite` is not given.
        ExportError: The file system refuses, or a package is missing.
        DamagedStoreError: The run is damaged.
    """
    missing = [package for package in ("h5netcdf", "h5py") if with_netcdf and find_spec(package) is None]
    if missing:
        raise ExportError(
            f"netCDF needs {' and '.join(missing)}; install the extra: pip install 'shoal[netcdf]'"
        )
    try:
        _check_free(directory, overwrite)
        directory.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".shoal-export-", dir=directory.parent) as folder:
            staging = Path(folder) / "export"
            staging.mkdir()
            _write(name, reader, staging, with_csv, with_netcdf)
            if directory.exists():
                _check_folders(staging, directory)
                shutil.copytree(staging, directory, dirs_exist_ok=True, copy_function=_copy_new)
            else:
                staging.rename(directory)
    except OSError as fault:
        raise ExportError(f"cannot export to {directory}: {fault}") from fault


def _check_free(directory: Path, overwrite: bool) -> None:
    if not directory.exists():
        return
    if not directory.is_dir():
        raise ExportExistsError(f"{directory} is a file; name a directory that is empty or not there yet")
    if not overwrite and any(directory.iterdir()):
        raise ExportExistsError(
            f"{directory} is not empty; name another directory, or overwrite an earlier export with --force"
        )


def _check_folders(staging: Path, directory: Path) -> None:
    """See that no link leads the files of an export to some other place."""
    for folder in (path for path in staging.rglob("*") if path.is_dir()):
        if (target := directory / folder.relative_to(staging)).is_symlink():
            raise ExportExistsError(
                f"{target} is a link to another place; remove it, or name another directory"
            )


def _copy_new(source: str, target: str) -> None:
    Path(target).unlink(missing_ok=True)  # a link would lead to some other file
    shutil.copy2(source, target)


def _write(name: str, reader: RunReader, directory: Path, with_csv: bool, with_netcdf: bool) -> None:
    write_tree(name, reader, directory)
    if with_csv:
        write_tables(reader, directory)
    if with_netcdf:
        write_netcdf(reader, directory / "run.nc")
