"""`python -m flows.pictures.redraw FOLDER`: draws the page of a run once, and gives way to whoever computes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

NICENESS = 10


def redraw(folder: Path) -> None:
    """Draw the page of a run.

    Raises:
        StoreError: There is no run, or it is damaged.
        ExportError: The page cannot be written.
    """
    from flows.named_files import write_whole
    from flows.pictures.page import page
    from flows.pictures.reading import read_picture
    from optim.store import RunFolder, open_run

    run = RunFolder(folder)
    write_whole(run.picture, page(read_picture(run.name, open_run(run.store))).encode())


if __name__ == "__main__":
    os.nice(NICENESS)
    from optim.errors import ShoalError

    try:
        redraw(Path(sys.argv[1]))
    except ShoalError as error:
        sys.exit(str(error))
