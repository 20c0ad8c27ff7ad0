"""`sightline index`: pictures and their captions into a collection."""

import json
from pathlib import Path
from typing import Annotated

import typer

from service.commands.options import (
    AsJson,
    Bundle,
    CodecName,
    DataDir,
    DeviceName,
    Key,
    Url,
    left_out,
    one_of,
    settings_from,
    tell,
)

EXAMPLE = "sightline index ~/Pictures/holiday --data-dir data/holiday"


def index(
    context: typer.Context,
    paths: Annotated[list[Path], typer.Argument(help="Pictures, and folders of pictures.")],
    captions: Annotated[
        Path | None,
        typer.Option(help="captions.jsonl: sentences to store with the pictures it names."),
    ] = None,
    data_dir: DataDir = None,
    url: Url = None,
    key: Key = None,
    bundle: Bundle = None,
    device: DeviceName = None,
    codec: CodecName = None,
    as_json: AsJson = False,
) -> None:
    """Add pictures to a collection, a folder's or a running service's.

    What is there already is recognised by its content, so a run that was stopped can be repeated.
    A file or a folder that can't be read is reported and left out.

    Exit status: 0 all is stored; 3 something was left out, the rest is stored; 1 nothing is stored.
    """
    local = {"data_dir": data_dir, "bundle": bundle, "device": device, "codec": codec}
    one_of(context, url, **local)

    from service.captions import read_captions
    from service.commands.opening import opened
    from service.destinations import OpenCollection, RunningService
    from service.indexing import Destination, Report, index_photos
    from service.photos import find_photos
    from service.progress import progress
    from service.remote import connected

    found = find_photos(paths)
    told = None if captions is None else read_captions(captions)

    def into(destination: Destination) -> Report:
        with progress("pictures") as advance:
            return index_photos(destination, found.photos, told, advance)

    if url is not None:
        with connected(url, key) as client:
            report = into(RunningService(client))
    else:
        with opened(settings_from(**local)) as collection:
            report = into(OpenCollection(collection))

    report.errors += found.errors
    counts = {outcome: report.counts[outcome] for outcome in ("new", "known", "failed")}
    if as_json:
        errors = [{"file": name, "error": words} for name, words in report.errors]
        summary = {"files": report.files, "captioned": report.captioned, **counts}
        typer.echo(json.dumps({**summary, "errors": errors}))
    else:
        tell(report.errors)
        if captions is not None and report.captioned < report.files:
            typer.echo(f"captions for {report.captioned:,} of {report.files:,} files", err=True)
        typer.echo("{new:,} new, {known:,} already there, {failed:,} failed".format(**counts))
    if not report.files:
        typer.echo("there is no picture in what was given", err=True)
    if not counts["new"] + counts["known"]:
        raise typer.Exit(1)
    left_out(report.errors)
