"""`shoal policies`."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import RenderableType

    from optim.options import Policy


@click.command("policies")
@click.argument("names", nargs=-1, metavar="[TYPE]...")
def command(names: tuple[str, ...]) -> None:
    """List every optimizer, stopper, exit condition, generator and selector; or explain each TYPE.

    Those of other packages are among them.
    """
    from flows.reports.report import wide_console
    from flows.run_files.faults import nearest
    from optim.registry import KINDS, catalogue

    console = wide_console()
    if not names:
        for kind, folder in KINDS.items():
            console.print(_table(folder.replace("_", " "), list(catalogue(kind).values())))
        return
    known: dict[str, list[type[Policy]]] = {}
    for kind in KINDS:
        for name, policy in catalogue(kind).items():
            known.setdefault(name.lower(), []).append(policy)
    for name in names:
        if name.lower() not in known:
            allowed = {policy.type_name() for policies in known.values() for policy in policies}
            raise click.UsageError(f"unknown type {name!r}; {nearest(name, allowed)}")
    for name in names:
        for policy in known[name.lower()]:
            console.print(_explanation(policy))


def _table(title: str, policies: list[type[Policy]]) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", title_style="bold", box=None, show_header=False)
    for policy in policies:
        table.add_row(Text(f"  {policy.type_name()}", style="cyan"), Text(_first_line(policy)))
    return table


def _explanation(policy: type[Policy]) -> RenderableType:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    base = next(parent for parent in policy.__mro__[1:] if inspect.isabstract(parent)).__name__
    table = Table(box=None, show_header=False, padding=(0, 2))
    help_texts = policy.help_texts()
    for name, field in policy.model_fields.items():
        default = "required" if field.is_required() else f"{field.get_default(call_default_factory=True)!r}"
        table.add_row(Text(f"  {name}", style="cyan"), Text(default), Text(_one_line(help_texts[name])))
    title = Text(f"{policy.type_name()} ({base})", style="bold")
    return Group(title, Text(inspect.getdoc(policy) or ""), table, Text(""))


def _first_line(policy: type[Policy]) -> str:
    return _one_line((inspect.getdoc(policy) or "").partition("\n\n")[0])


def _one_line(text: str) -> str:
    return " ".join(text.split())
