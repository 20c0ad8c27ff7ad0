"""`sightline migrate`: a collection embedded again by another model."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from service.commands.options import (
    AsJson,
    Bundle,
    CodecName,
    DataDir,
    DeviceName,
    settings_from,
    tell,
)

EXAMPLE = "sightline migrate --data-dir data/holiday --bundle mine"


def migrate(
    bundle: Bundle = None,
    data_dir: DataDir = None,
    keep: Annotated[
        Path | None, typer.Option(help="Folder to make, with the collection as it was.")
    ] = None,
    codec: CodecName = None,
    device: DeviceName = None,
    as_json: AsJson = False,
) -> None:
    """Embed a collection again with another model or codec, then switch to it at once.

    The service must be stopped. Until the switch nothing changes, and a run that was stopped can be
    repeated: it goes on where it was.
    """
    settings = settings_from(data_dir=data_dir, bundle=bundle, codec=codec, device=device)

    from service import migrating
    from service.collection import codec_to_keep, load_matcher
    from service.progress import progress

    with progress("items") as advance:
        matcher = load_matcher(settings, codec_to_keep(settings))
        done = migrating.migrate(matcher, settings, keep, advance)
    if as_json:
        typer.echo(json.dumps(asdict(done)))
    elif done.errors:
        tell(done.errors)
        typer.echo(f"{len(done.errors):,} items can't be embedded; nothing was changed", err=True)
    elif not done.needed:
        typer.echo(f"{settings.data_dir} is of this model and codec already")
    else:
        counts = ", ".join(f"{count:,} {kind}s" for kind, count in done.items.items())
        typer.echo(f"migrated: {counts}, {done.embedded:,} of them embedded by this run")
        if done.space_kept is not None:
            typer.echo(f"the space of the old vectors is not free yet: {done.space_kept}", err=True)
    if done.errors:
        raise typer.Exit(1)
