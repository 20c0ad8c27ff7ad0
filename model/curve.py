"""The curve of a run as a picture: loss and validation recall over the epochs."""

import json
from pathlib import Path


def plot_curve(curve: Path, picture: Path) -> None:
    """Draws `curve.jsonl` into a PNG; needs the extra `train` (matplotlib)."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    lines = [json.loads(line) for line in curve.read_text(encoding="utf-8").splitlines()]
    epochs = [line["epoch"] for line in lines]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for name in sorted({key for line in lines for key in line if key.startswith("train_")}):
        if name != "train_s":
            left.plot(epochs, [line[name] for line in lines], label=name.removeprefix("train_"))
    measured = sorted({key for line in lines for key in line if key.startswith("val_")})
    for name in (*measured, "rsum"):
        label = "all layers" if name == "rsum" else name.removeprefix("val_")
        right.plot(epochs, [line[name] for line in lines], label=label)
    left.set(xlabel="epoch", ylabel="training loss")
    right.set(xlabel="epoch", ylabel="validation rsum")
    for axes in (left, right):
        axes.legend(fontsize=8)
        axes.grid(alpha=0.3)
    figure.savefig(picture, dpi=110)
    pyplot.close(figure)
