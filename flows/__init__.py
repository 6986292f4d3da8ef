"""Prefect flows, and what they need: the task runner, the cluster, the server."""
