"""`sightline rebuild`: everything derived, made again from the catalog."""

import json

import typer

from service.commands.options import AsJson, Bundle, DataDir, settings_from


def rebuild(data_dir: DataDir = None, bundle: Bundle = None, as_json: AsJson = False) -> None:
    """Make the vectors again from the catalog; exit status 1 if the catalog itself is damaged."""
    settings = settings_from(data_dir=data_dir, bundle=bundle, device="cpu")

    from service.collection import open_collection

    with open_collection(settings) as collection:
        report = collection.index.rebuild()
    if as_json:
        typer.echo(json.dumps({"items": report.items, "problems": report.problems}))
    else:
        for problem in report.problems:
            typer.echo(problem, err=True)
        counts = ", ".join(f"{count:,} {kind}s" for kind, count in report.items.items())
        typer.echo(f"rebuilt: {counts}")
    if not report.ok:
        raise typer.Exit(1)
