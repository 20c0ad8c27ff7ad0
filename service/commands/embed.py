"""`sightline embed`: a data set's embeddings to files."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from service.commands.options import AsJson, Bundle, DeviceName, left_out, settings_from, tell

EXAMPLE = "sightline embed --data flickr8k --out embeddings"


def embed(
    data: Annotated[Path, typer.Option(help="Folder with captions.jsonl.")],
    out: Annotated[Path, typer.Option(help="Folder for the files.")],
    bundle: Bundle = None,
    device: DeviceName = None,
    as_json: AsJson = False,
) -> None:
    """Write embeddings as .npy, a FAISS index each as .faiss, and ids as .jsonl.

    Exit status 3: something couldn't be read and was left out, the rest is written.
    """
    settings = settings_from(bundle=bundle, device=device)

    from service import embedding
    from service.collection import load_matcher
    from service.progress import progress

    with progress("pictures and texts") as advance:
        done = embedding.embed(load_matcher(settings), settings, data, out, advance)
    if as_json:
        typer.echo(json.dumps(asdict(done)))
    else:
        tell(done.errors)
        typer.echo(f"{done.images:,} pictures and {done.texts:,} texts in {out}")
    left_out(done.errors)
