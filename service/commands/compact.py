"""`sightline compact`: everything merged, and free space given back to the disk."""

import json

import typer

from service.commands.options import AsJson, Bundle, DataDir, settings_from

EXAMPLE = "sightline compact --data-dir data/holiday"


def compact(data_dir: DataDir = None, bundle: Bundle = None, as_json: AsJson = False) -> None:
    """Merge what writes have left scattered, and give free space back to the disk."""
    settings = settings_from(data_dir=data_dir, bundle=bundle, device="cpu")

    from service.commands.opening import opened_again
    from service.progress import waiting

    with opened_again(settings) as collection, waiting(f"compacting {settings.data_dir}"):
        before = collection.index.stats()["bytes_on_disk"]
        collection.index.compact()
        after = collection.index.stats()["bytes_on_disk"]
    if as_json:
        typer.echo(json.dumps({"bytes_before": before, "bytes_after": after}))
    else:
        typer.echo(f"{settings.data_dir}: {before:,} bytes before, {after:,} after")
