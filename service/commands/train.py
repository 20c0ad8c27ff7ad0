"""`sightline train`: from captioned pictures to a run folder."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from service.commands.options import AsJson
from service.progress import progress

Cache = Annotated[Path, typer.Option(help="Folder of the cached features.")]

EXAMPLE = "sightline train --data flickr8k --out runs/mine --resume"


def train(
    data: Annotated[Path, typer.Option(help="Data set: captions.jsonl or precomputed features.")],
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    config: Annotated[
        Path | None, typer.Option(help="TOML file; what it leaves out keeps its default.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a run stopped.")] = False,
    cache: Cache = Path("cache"),
    as_json: AsJson = False,
) -> None:
    """Train a model; stops early on the validation rsum, checkpoints each epoch."""
    from model.config import read_run_config
    from model.run import train_run

    run_config = read_run_config(config)
    with progress("pictures") as pictures, progress("captions") as captions:
        bars = {"pictures": pictures, "captions": captions}
        run = train_run(
            run_config,
            data,
            out,
            cache,
            resume,
            lambda what, done, total: bars[what](done, total),
            _as_lines(as_json),
        )
    if not as_json:
        typer.echo(
            f"The run is in {run.folder}; `sightline export {run.folder} --out BUNDLE` next."
        )


def _as_lines(as_json: bool) -> Any:
    def report(line: dict[str, Any]) -> None:
        if "step" in line:
            if line["step"] % 10 == 0 or line["step"] == line["steps"]:
                print(  # noqa: T201
                    f"epoch {line['epoch']}, step {line['step']} of {line['steps']}",
                    file=sys.stderr,
                )
        elif as_json:
            typer.echo(json.dumps(line))
        else:
            layers = ", ".join(
                f"{name.removeprefix('val_')} {line[name]:.1f}"
                for name in line
                if name.startswith("val_")
            )
            typer.echo(
                f"epoch {line['epoch']}: loss {line['train_loss']:.3f}, "
                f"validation rsum {line['rsum']:.1f} ({layers})"
            )

    return report
