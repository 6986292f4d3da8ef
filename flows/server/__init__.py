"""The Prefect server of this machine, and what it knows of runs."""
