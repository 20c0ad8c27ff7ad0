"""`sightline verify`: whether a data directory holds what was written."""

import json

import typer

from service.commands.options import AsJson, Bundle, DataDir, settings_from


def verify(data_dir: DataDir = None, bundle: Bundle = None, as_json: AsJson = False) -> None:
    """Read everything back, compare vectors with the catalog; exit status 1 if they differ."""
    settings = settings_from(data_dir=data_dir, bundle=bundle, device="cpu")

    from service.collection import open_collection

    with open_collection(settings) as collection:
        report = collection.index.verify()
    if as_json:
        typer.echo(json.dumps({"items": report.items, "problems": report.problems}))
    else:
        for problem in report.problems:
            typer.echo(problem, err=True)
        counts = ", ".join(f"{count:,} {kind}s" for kind, count in report.items.items())
        typer.echo(f"{counts}: {'all in order' if report.ok else 'damaged'}")
    if not report.ok:
        raise typer.Exit(1)
