"""Managed parallel optimization as a workflow."""
