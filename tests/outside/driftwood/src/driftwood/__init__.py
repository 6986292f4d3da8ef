"""One policy of each kind for shoal, by somebody else."""
