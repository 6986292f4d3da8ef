"""Dask workers: the cluster, who of them may evaluate, what they are sent."""
