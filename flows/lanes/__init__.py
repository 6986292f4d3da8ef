"""Where the losses of a run are evaluated: in this process, in processes of this machine, or on Dask."""
