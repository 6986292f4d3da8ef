"""`make scale`: how far one manager goes, by simulation and by a formula; writes tables and plot of docs/scale.md.

The session, the manager, the optimizers, two stoppers and, in one row, the store are real, and what they cost is
measured while they run. Workers, their losses of log-normal duration, the clock, and what Prefect and Dask cost are
simulated.
"""
