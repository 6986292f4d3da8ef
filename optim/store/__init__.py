"""The store of a run: a folder, and in it one Zarr v3 hierarchy that `xarray.open_datatree` opens.

Writing, under the lock of the folder:

* `RunFolder`: `LOCATION/NAME/` with `run.zarr`, `run.toml`, `lock`, `inbox/` and `log`; `list_runs` finds
  them.
* `RunLock`: one writer per run; `Holder` says who it is.
* `RunWriter`: the journal, committed in the background; it also derives the table of optimizers.

Reading, at any time and from any fsspec URL:

* `open_run` gives a `RunReader`: one commit, as xarray datasets or as the rows to replay, and the space of its
  points. Damage is an error that names the chunk.
* `Tail` follows a run that is being written: what was committed since the last look, and nothing twice.
* `read_attributes`: status, seed, settings and so on, without opening the rest.

How it works: `layout` is the schema, `documents` its metadata, `chunks` the bytes, `table` rows in memory,
`optimizers_view` the derived group, `image` the commit; `files`, `root` and `columns` read a commit, `values` says
what they must be, `tree` shows it as xarray, for which `checked` stands before Zarr and `older` fills what stores of
older schemas lack; `frames` makes tables of that.
"""

from optim.store.folder import RunFolder, list_runs, run_name, store_of
from optim.store.frames import flat_columns
from optim.store.layout import EVALUATIONS, EVENTS, OPTIMIZERS, SCHEMA_VERSION, VALIDATIONS
from optim.store.lock import Holder, RunLock
from optim.store.reader import RunReader, open_run, read_attributes
from optim.store.tail import Tail
from optim.store.writer import RunWriter

__all__ = [
    "EVALUATIONS",
    "EVENTS",
    "OPTIMIZERS",
    "SCHEMA_VERSION",
    "VALIDATIONS",
    "Holder",
    "RunFolder",
    "RunLock",
    "RunReader",
    "RunWriter",
    "Tail",
    "flat_columns",
    "list_runs",
    "open_run",
    "read_attributes",
    "run_name",
    "store_of",
]
