"""The subcommands of `shoal`, one to a file; each has a `command`."""
