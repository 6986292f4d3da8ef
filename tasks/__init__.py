"""The Prefect task that evaluates a loss."""
