"""`sightline restore`: a backup becomes a collection again."""

import json
from pathlib import Path
from typing import Annotated

import typer

from service.commands.options import AsJson, DataDir, settings_from

EXAMPLE = "sightline restore backups/monday --data-dir data/restored"


def restore(
    source: Annotated[Path, typer.Argument(help="Folder that `sightline backup` made.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Put a backup into a data directory that holds no collection yet, checking every page."""
    settings = settings_from(data_dir=data_dir)

    from index import backup
    from service.progress import waiting

    with waiting(f"restoring {source}"):
        backup.restore(source, settings.data_dir)
    if as_json:
        typer.echo(json.dumps({"backup": str(source), "data_dir": str(settings.data_dir)}))
    else:
        typer.echo(f"{settings.data_dir} holds the collection of {source}")
