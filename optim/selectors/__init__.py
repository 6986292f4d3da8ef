"""Selectors, one to a file; `optim.registry` finds each file of this folder by itself."""
