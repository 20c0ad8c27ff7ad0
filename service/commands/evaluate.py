"""`sightline evaluate`: the field's table of a bundle on a captioned split."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.commands.options import AsJson, Bundle, DeviceName, settings_from
from service.progress import progress

if TYPE_CHECKING:
    from model.recall import Recall

EXAMPLE = "sightline evaluate --data flickr8k --split val --ablate"


def evaluate(
    data: Annotated[Path, typer.Option(help="Data set: captions.jsonl or precomputed features.")],
    split: Annotated[str, typer.Option(help="Which split to measure.")] = "val",
    bundle: Bundle = None,
    device: DeviceName = None,
    candidates: Annotated[
        int, typer.Option(min=1, help="Re-rank depth of the two-stage row.")
    ] = 100,
    folds: Annotated[
        int, typer.Option(min=1, help="Also the mean over equal folds, as MSCOCO 1K (5).")
    ] = 1,
    ablate: Annotated[
        bool, typer.Option("--ablate", help="Also each layer alone and each left out.")
    ] = False,
    cache: Annotated[Path, typer.Option(help="Folder of the cached features.")] = Path("cache"),
    as_json: AsJson = False,
) -> None:
    """Print recall of global only, two-stage and exhaustive scoring, both directions."""
    settings = settings_from(bundle=bundle, device=device)

    import torch

    from model.bundle import load_bundle
    from model.report import split_report
    from service.collection import resolve_device

    torch.set_num_threads(settings.torch_threads)
    loaded = load_bundle(settings.bundle)
    with (
        progress("pictures") as pictures,
        progress("captions") as captions,
        progress("captions scored") as scored,
    ):
        bars = {"pictures": pictures, "captions": captions, "captions scored": scored}
        report = split_report(
            loaded,
            data,
            split,
            cache,
            candidates,
            folds,
            ablate,
            lambda what, done, total: bars[what](done, total),
            resolve_device(settings.device),
        )
    if as_json:
        typer.echo(json.dumps(_as_json(report)))
        return
    typer.echo(
        f"{loaded.name} on {split}: {report.pictures:,} pictures, {report.captions:,} captions"
    )
    _print_table(report.rows)
    if report.fold_rows:
        typer.echo(f"\nMean of {folds} folds of {report.pictures // folds:,} pictures")
        _print_table(report.fold_rows)
    if report.ablation:
        typer.echo(
            "\nLayers, exhaustive; weights and offsets fitted anew for each row on this split"
        )
        _print_table(report.ablation)
    for direction, figures in report.calibration.items():
        typer.echo(f"\n{direction.replace('_', ' ')}: " + _figures(figures))
    typer.echo(
        "\nfirst-stage candidates hold, of the exhaustive top 10: "
        f"{report.coverage[0]:.2f} % (image to text), {report.coverage[1]:.2f} % (text to image)"
    )


def _print_table(rows: Mapping[str, "Recall"]) -> None:
    typer.echo(f"{'':38}  image to text        text to image")
    typer.echo(f"{'':38}  R@1   R@5   R@10     R@1   R@5   R@10     rsum")
    for name, found in rows.items():
        left = " ".join(f"{value:5.1f}" for value in found.image_to_text)
        right = " ".join(f"{value:5.1f}" for value in found.text_to_image)
        typer.echo(f"{name:38} {left}    {right}    {found.rsum:6.1f}")


def _figures(figures: Mapping[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in figures.items())


def _as_json(report: Any) -> dict[str, Any]:
    def table(rows: Mapping[str, "Recall"]) -> dict[str, Any]:
        return {
            name: {
                "image_to_text": found.image_to_text,
                "text_to_image": found.text_to_image,
                "rsum": found.rsum,
            }
            for name, found in rows.items()
        }

    return {
        "pictures": report.pictures,
        "captions": report.captions,
        "rows": table(report.rows),
        "fold_rows": table(report.fold_rows),
        "ablation": table(report.ablation),
        "calibration": report.calibration,
        "candidate_coverage": dict(
            zip(("image_to_text", "text_to_image"), report.coverage, strict=True)
        ),
    }
