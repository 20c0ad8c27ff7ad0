"""`sightline backup`: a copy of a collection, also while it is in use."""

import json
from pathlib import Path
from typing import Annotated

import typer

from service.commands.options import AsJson, DataDir, settings_from

EXAMPLE = "sightline backup backups/monday --data-dir data/holiday"


def backup(
    target: Annotated[Path, typer.Argument(help="Folder to make; it must not be there yet.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Copy a collection as it is at this moment; a service may go on reading and writing it."""
    settings = settings_from(data_dir=data_dir)

    from index.backup import backup_folder
    from service.progress import waiting

    with waiting(f"copying {settings.data_dir}"):
        backup_folder(settings.data_dir, target)
    size = sum(file.stat().st_size for file in target.iterdir())
    if as_json:
        typer.echo(json.dumps({"backup": str(target), "bytes": size}))
    else:
        typer.echo(f"{target}: a backup of {size:,} bytes")
