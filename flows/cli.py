"""The `shoal` command. Each subcommand is a file of `flows/commands/`, imported only when it is called."""

from __future__ import annotations

import importlib
import io
import sys
from typing import Any

import click

from optim.errors import (
    ClusterLostError,
    DurationError,
    ExportExistsError,
    ProblemError,
    RunExistsError,
    RunLockedError,
    RunNameError,
    ShoalError,
    SpaceError,
    SteeringError,
)
from optim.printable import printable

COMMANDS = {
    "run": "Run a run file.",
    "resume": "Go on with a run that was interrupted.",
    "extend": "Change the rules of a run, so that it can go on.",
    "stop": "End a run, or one of its optimizers.",
    "pause": "Have a run save and end, to go on later.",
    "inject": "Start one more optimizer of a run at a point.",
    "serve": "Start the dashboard, and run what is started there.",
    "list": "List all runs.",
    "show": "Show what a run has come to.",
    "watch": "Follow a run while it goes on.",
    "plot": "Draw a run, as a page for the browser.",
    "check": "Check a run file, and start nothing.",
    "convert": "Write a run file in another format.",
    "policies": "List or explain optimizers, stoppers and all other types.",
    "export": "Write a run as plain files.",
}

EPILOG = """\b
Run status: running, paused, finished, failed.
Exit codes: 0 done, 1 failed, 2 bad input, 3 locked by another process,
75 paused (run it again later), 130 interrupted.
"""


class LazyGroup(click.Group):
    """Knows its commands by name, and imports one only to call it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which people need them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"flows.commands.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the nearest name for one that is not there."""
        from difflib import get_close_matches

        near = get_close_matches(args[0], COMMANDS, n=1)
        if args[0] not in COMMANDS and near:
            raise click.UsageError(f"no such command {args[0]!r}; did you mean {near[0]!r}?", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="shoal")
def shoal() -> None:
    """Managed parallel optimization: many optimizers at once, watched, stopped, restarted and recorded."""


def exit_code(error: ShoalError) -> int:
    """What the command answers when this stops it."""
    from flows.run_files.faults import InvalidSettingsError

    if isinstance(error, RunLockedError):
        return 3
    if isinstance(error, ClusterLostError):
        return 75
    bad_input = (
        DurationError,
        ExportExistsError,
        InvalidSettingsError,
        ProblemError,
        RunExistsError,
        RunNameError,
        SpaceError,
        SteeringError,
    )
    return 2 if isinstance(error, bad_input) else 1


def main() -> None:
    """Run the command line; errors are one message, never a traceback."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # As standard error does it, where a locale has few characters.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code: Any = shoal.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = _interrupted()
    except ShoalError as error:
        click.echo(printable(f"shoal: {error}"), err=True)
        code = exit_code(error)
    except ValueError as error:
        if not isinstance(error.__cause__, KeyboardInterrupt):  # one inside pydantic's serializer
            raise
        code = _interrupted()
    sys.exit(code if isinstance(code, int) else 0)


def _interrupted() -> int:
    click.echo("interrupted", err=True)
    return 130
