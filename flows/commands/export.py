"""`shoal export NAME DIR`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("export")
@click.argument("name")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--csv",
    "with_csv",
    is_flag=True,
    help="Also all tables of the run: evaluations.csv, optimizers.csv, events.csv, validations.csv,"
    " parameters.csv.",
)
@click.option(
    "--netcdf",
    "with_netcdf",
    is_flag=True,
    help="Also the whole run in one netCDF file, run.nc.  [needs: pip install 'shoal[netcdf]']",
)
@click.option("--force", is_flag=True, help="Write over an earlier export; files of other names stay.")
@click.option("--location", help="Folder of all runs.  [default: SHOAL_LOCATION or ./runs]")
def command(
    name: str, directory: Path, with_csv: bool, with_netcdf: bool, force: bool, location: str | None
) -> None:
    """Write the run NAME as plain files into DIR, which is empty or not there yet; also while the run goes on.

    \b
    DIR/summary.txt                     what `shoal show NAME` says
    DIR/best_parameters.txt             name, value, unit
    DIR/optimizer_002/                  and so on, for each optimizer
        opt_type.txt                    type, label, settings
        end_condition.txt               how and why it ended
        running_active_parameters.txt   the parameters that are varied, row by row as in running_loss.txt
        training_set_results/
            running_loss.txt
        validation_set_results/         if the run has validations
            running_loss.txt

    The running files have a row for each new best of that optimizer and for every `logging_interval`-th of its
    evaluations. Evaluations are numbered over the whole run, times count from its start. The log10 of a loss that is
    not positive is nan.
    """
    from flows.export import export
    from flows.run.location import runs_location
    from optim.store import RunFolder, open_run

    folder = RunFolder.find(runs_location(location), name)
    reader = open_run(folder.store)
    export(name, reader, directory, with_csv=with_csv, with_netcdf=with_netcdf, overwrite=force)
    click.echo(f"{name} is in {directory}")
