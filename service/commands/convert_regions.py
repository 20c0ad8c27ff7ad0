"""`sightline convert-regions`: bottom-up region files to a precomputed folder."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from service.commands.options import AsJson
from service.progress import progress

Split = Literal["train", "dev", "test", "testall"]

EXAMPLE = (
    "sightline convert-regions trainval_36.tsv --out coco --split dev --captions dataset_coco.json"
)


def convert_regions(
    files: Annotated[list[Path], typer.Argument(help="TSV files of bottom-up attention.")],
    out: Annotated[Path, typer.Option(help="The precomputed folder.")],
    split: Annotated[Split, typer.Option(help="Which split to write.")],
    captions: Annotated[Path, typer.Option(help="Karpathy's JSON file with splits and captions.")],
    regions: Annotated[int, typer.Option(min=1, help="Rows a picture; fewer are padded.")] = 36,
    as_json: AsJson = False,
) -> None:
    """Convert bottom-up region files (TSV) to one split of a precomputed folder."""
    from model.bottom_up import convert_regions as convert
    from model.captions_file import read_captions

    pictures = read_captions(captions, split)
    with progress("pictures") as advance:
        count = convert(files, out, split, pictures, regions, advance)
    if as_json:
        typer.echo(json.dumps({"folder": str(out), "split": split, "pictures": count}))
    else:
        typer.echo(f"{out} holds the split {split}: {count:,} pictures")
