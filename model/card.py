"""The model card that travels in a bundle."""

from collections.abc import Mapping
from typing import Any

from model.config import RunConfig

CARD = """# {name}

Finds photos for sentences and sentences for photos: *multilayer semantic alignment* (global,
entity, relation and semantic layers{concepts}; see the project's `docs/method.md`).

## What it is made of
{parts}

## Training data
{pictures:,} photos with their captions. The query bank holds numeric codes of some of them, not
the photos or captions themselves. {note}

## Measured on `{split}` ({val_pictures:,} photos, {val_captions:,} captions)

| | image to text R@1 / 5 / 10 | text to image R@1 / 5 / 10 | rsum |
|---|---|---|---|
{rows}

Layer weights, hubness offsets and calibration were fitted on this same split, so expect a little
less elsewhere. {calibration}

## What it is bad at
- It knows what its training photos taught it{known}. Documents, charts, art, satellite or medical
  pictures are outside unless they were among those; so are names, brands and text in the picture.
- It counts badly, mixes up left and right, and confuses which colour belongs to which thing.
- English only. Other alphabets are accepted, but mean little to it.
- Captions of photos often describe gender, age and looks from appearance, often wrongly; the model
  repeats such guesses. Do not use it to identify or sort people.
- A match probability says how likely most content words of the sentence would also stand in the
  captions that people wrote for the photo. It was fitted on a collection of the validation split's
  size and kind; in a very different one it is only an order.
"""


def model_card(
    name: str, config: RunConfig, report: Mapping[str, Any], training_pictures: int, note: str
) -> str:
    """The card's Markdown text, from what was configured and measured.

    note: what the card says of the training data besides their number.
    """
    calibration = report["calibration"]
    errors = " and ".join(
        f"{figures['expected_calibration_error']:.3f} ({direction.replace('_', ' ')})"
        for direction, figures in calibration.items()
    )
    return CARD.format(
        name=name,
        concepts=", and concepts" if config.model.concepts else "",
        known=", and ImageNet's thousand classes" if config.model.concepts else "",
        parts="\n".join(f"- {part}" for part in _parts(config)),
        pictures=training_pictures,
        note=note,
        split=report["split"],
        val_pictures=report["pictures"],
        val_captions=report["captions"],
        rows="\n".join(_row(title, row) for title, row in report["rows"].items()),
        calibration=f"Expected calibration error of the match probability: {errors}.",
    )


def _parts(config: RunConfig) -> list[str]:
    regions, text = config.model.regions, config.model.text
    source = {
        "grid": f"EfficientNet-Lite2 (ImageNet) at {regions.pixels} px, last blocks tuned, "
        f"{regions.side} x {regions.side} grid regions",
        "tower": f"a vision tower at {regions.pixels} px, its patches as regions",
        "precomputed": f"precomputed region features of {regions.feature_size}",
    }[regions.kind]
    words = {
        "pretrained": f"all-MiniLM-L6-v2, last {text.tuned_layers} layers tuned",
        "vocabulary": f"its own word embeddings of {text.feature_size}",
    }[text.kind]
    recurrent = f", a Bi-GRU of {text.recurrent_size}" if text.recurrent_size else ""
    source_of_global = {
        "shared": "",
        "own": ", from tuned networks of their own",
        "tower": ", the tower's own embeddings",
    }[config.model.first_stage]
    concepts = (
        "Concepts: the 1,000 classes of ImageNet, as the untuned networks know them."
        if config.model.concepts
        else None
    )
    parts = [
        f"Pictures: {source}.",
        f"Texts: {words}{recurrent}.",
        f"Global vectors of {config.model.dimension}{source_of_global}; region, word, context and "
        f"phrase vectors of {config.model.fine_dimension}; {config.model.tags} tags.",
        concepts,
    ]
    return [part for part in parts if part is not None]


def _row(title: str, row: Mapping[str, Any]) -> str:
    figures = [" / ".join(str(v) for v in row[way]) for way in ("image_to_text", "text_to_image")]
    return f"| {title} | {figures[0]} | {figures[1]} | {row['rsum']} |"
