"""`sightline export`: from a run to a bundle that the service serves."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from service.commands.options import AsJson
from service.progress import progress

EXAMPLE = "sightline export runs/mine --out mine"


def export(
    run: Annotated[Path, typer.Argument(help="Folder of a training run.")],
    out: Annotated[Path, typer.Option(help="Folder of the new bundle.")],
    name: Annotated[str, typer.Option(help="Name that answers carry.")] = "sightline",
    data: Annotated[
        Path | None, typer.Option(help="The data set, if it moved since.", show_default=False)
    ] = None,
    note: Annotated[
        Path | None,
        typer.Option(help="Text file: what the model card says of the training data."),
    ] = None,
    compact: Annotated[
        bool,
        typer.Option(
            "--compact", help="Weights and bank in four bits a number: a third of the size."
        ),
    ] = False,
    served_views: Annotated[
        int | None,
        typer.Option(
            help="Views of a picture that are averaged when it is encoded: 1, 2, 3, 4 or 6. More "
            "take longer and find better; default: the run's.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a bundle that is there already.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Turn a run into a bundle: weights, bank, layer weights, calibration, report, card."""
    if (out / "manifest.json").exists() and not force:
        raise typer.BadParameter(
            f"{out} is a bundle already; --force replaces it", param_hint="--out"
        )

    from model.export import Edition, export_run
    from model.run import read_run

    told = _text_of(note)
    trained = read_run(run)
    if data is not None:
        trained = replace(trained, data=data)
    edition = Edition(name, told, compact, served_views)
    with progress("captions scored") as advance:
        fingerprint = export_run(trained, out, edition, advance)
    if as_json:
        typer.echo(json.dumps({"bundle": str(out), "fingerprint": fingerprint}))
    else:
        typer.echo(f"{out}: {fingerprint}")


def _text_of(note: Path | None) -> str:
    try:
        return "" if note is None else note.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"{note} is not UTF-8 text", param_hint="--note") from error
