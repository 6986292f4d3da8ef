"""What `make bench` and `make tutorial` measure."""

from flows.environment import set_prefect_defaults

set_prefect_defaults()  # before anything here imports Prefect
