"""A run between what was asked for and its folder: request, store, log, steering, resuming."""
