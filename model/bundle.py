"""The bundle: a folder with everything a model needs to answer, checked when it is read.

    manifest.json      format, name, SHA-256 of each file, of each pretrained file, fingerprint
    config.json        sizes                      scoring.json   fusion, offsets, calibration
    vocabulary.json    the text side's own words  tags.json      the tag vocabulary
    model.safetensors  trained weights            bank.safetensors   the query bank
    report.json        measured on validation     README.md      the model card

The fingerprint is a hash of all that decides a number: not of the report and the card.
"""

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from model import weights
from model.bank import Bank, from_arrays, to_arrays
from model.calibration import Calibration
from model.concepts import Concepts
from model.config import ModelConfig
from model.errors import BundleError
from model.fusion import Fusion
from model.network import Network
from model.pretrained import (
    EFFICIENTNET_LITE2,
    MINILM_TOKENIZER,
    MINILM_WEIGHTS,
    PretrainedFile,
    file_sha256,
)
from model.tower import tower_fingerprint

FORMAT = 1
MANIFEST = "manifest.json"
READABLE = 0o644
DECIDING = (
    "config.json",
    "scoring.json",
    "vocabulary.json",
    "tags.json",
    "model.safetensors",
    "bank.safetensors",
)
DESCRIBING = ("report.json", "README.md")


class Scoring(BaseModel):
    """What turns layer scores into a ranking and a probability."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    fusion: Fusion
    beta: float = Field(gt=0)
    strength: float = Field(ge=0)
    calibration: Calibration


@dataclass(frozen=True)
class Bundle:
    """A trained model as read from its folder."""

    name: str
    fingerprint: str
    config: ModelConfig
    scoring: Scoring
    vocabulary: tuple[str, ...]
    tags: tuple[str, ...]
    weights: Mapping[str, np.ndarray]
    bank: Bank
    report: dict[str, Any]

    @property
    def stored_dimension(self) -> int:
        """Of the vectors that an index keeps: a global vector, and minus its hubness offset."""
        return self.config.dimension + 1

    def network(self) -> Network:
        """The network with the trained weights, in evaluation mode. Raises BundleError."""
        network = Network(self.config, self.vocabulary)
        try:
            network.load_state_dict(weights.to_state(self.weights, network))
            if self.config.concepts:
                names = torch.from_numpy(self.weights[weights.CONCEPT_NAMES]).float()
                network.concepts = Concepts(self.config, names)
        except (RuntimeError, ValueError, KeyError) as error:
            raise BundleError(f"model.safetensors does not fit config.json: {error}") from error
        return network.eval().requires_grad_(False)


def load_bundle(folder: Path) -> Bundle:
    """The bundle in a folder, every file checked against the manifest.

    Raises BundleError if a file is missing, differs from its SHA-256, or is of another format, and
    ConfigError if it builds on a vision tower that isn't there. Pretrained files are checked when
    they are loaded.
    """
    manifest = _read_json(folder / MANIFEST)
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files", {}), dict):
        raise BundleError(f"{folder / 'manifest.json'}: not the manifest of a bundle")
    if manifest.get("format") != FORMAT:
        raise BundleError(f"{folder}: bundle format {manifest.get('format')}; this reads {FORMAT}")
    hashes = manifest.get("files", {})
    for name in (*DECIDING, *DESCRIBING):
        if name not in hashes:
            raise BundleError(f"{folder / 'manifest.json'}: lists no {name}")
        found = _sha256(folder / name)
        if found != hashes[name]:
            raise BundleError(f"{folder / name}: SHA-256 {found}, the manifest says {hashes[name]}")
    try:
        config = ModelConfig.model_validate(_read_json(folder / "config.json"))
        scoring = Scoring.model_validate(_read_json(folder / "scoring.json"))
        bank = from_arrays(load_file(folder / "bank.safetensors"))
        arrays = load_file(folder / "model.safetensors")
    except (ValidationError, SafetensorError, KeyError) as error:
        raise BundleError(f"{folder}: {error}") from error
    pretrained = _pretrained(config)
    tags = tuple(_read_json(folder / "tags.json"))
    if len(tags) != config.tags:
        raise BundleError(
            f"{folder / 'tags.json'}: {len(tags)} tags, config.json says {config.tags}"
        )
    fingerprint = _fingerprint(hashes, pretrained)
    if fingerprint != manifest.get("fingerprint"):
        raise BundleError(
            f"{folder}: fingerprint {fingerprint}, the manifest says {manifest.get('fingerprint')}"
        )
    return Bundle(
        name=str(manifest.get("name", folder.name)),
        fingerprint=fingerprint,
        config=config,
        scoring=scoring,
        vocabulary=tuple(_read_json(folder / "vocabulary.json")),
        tags=tags,
        weights=arrays,
        bank=bank,
        report=_read_json(folder / "report.json"),
    )


def write_bundle(
    folder: Path,
    name: str,
    network: Network,
    scoring: Scoring,
    vocabulary: tuple[str, ...],
    tags: tuple[str, ...],
    bank: Bank,
    report: Mapping[str, Any],
    card: str,
    compact: bool = False,
) -> str:
    """Writes every file and the manifest, then puts the folder in place; returns the fingerprint.

    compact: weights and bank in four bits a number instead of fp16 and int8.

    A bundle that is there is replaced as a whole: a kill never leaves files of two models. Raises
    BundleError if `folder` holds something that is no bundle.
    """
    place = folder.resolve()
    empty = not place.exists() or (place.is_dir() and not any(place.iterdir()))
    if not empty and not (place / MANIFEST).is_file():
        raise BundleError(f"{folder}: there is something that is no bundle; name another folder")
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{place.name}-", dir=place.parent) as beside:
        new, old = Path(beside) / "new", Path(beside) / "old"
        new.mkdir()
        save_file(weights.to_arrays(network, compact), new / "model.safetensors")
        save_file(to_arrays(bank, compact), new / "bank.safetensors")
        _write_json(new / "config.json", network.config.model_dump(mode="json"))
        _write_json(new / "scoring.json", scoring.model_dump(mode="json", by_alias=True))
        _write_json(new / "vocabulary.json", list(vocabulary))
        _write_json(new / "tags.json", list(tags))
        _write_json(new / "report.json", report)
        (new / "README.md").write_text(card, encoding="utf-8")
        fingerprint = _write_manifest(new, name, _pretrained(network.config))
        for file in new.iterdir():
            # safetensors makes its files readable by their owner alone.
            file.chmod(READABLE)
        if place.exists():
            place.rename(old)
        new.rename(place)
    return fingerprint


def _write_manifest(folder: Path, name: str, pretrained: Mapping[str, str]) -> str:
    hashes = {file: _sha256(folder / file) for file in (*DECIDING, *DESCRIBING)}
    fingerprint = _fingerprint(hashes, pretrained)
    manifest = {
        "format": FORMAT,
        "name": name,
        "fingerprint": fingerprint,
        "files": hashes,
        "pretrained": pretrained,
    }
    _write_json(folder / MANIFEST, manifest)
    return fingerprint


def _pretrained(config: ModelConfig) -> dict[str, str]:
    """What the weights build on besides the bundle, and the SHA-256 of it."""
    files: list[PretrainedFile] = []
    if config.regions.kind == "grid":
        files.append(EFFICIENTNET_LITE2)
    if config.text.kind == "pretrained":
        files += [MINILM_WEIGHTS, MINILM_TOKENIZER]
    named = {f"{file.distribution}: {file.path}": file.sha256 for file in files}
    if config.regions.kind == "tower":
        named["vision tower"] = tower_fingerprint(config.regions)
    return named


def _fingerprint(hashes: Mapping[str, str], pretrained: Mapping[str, str]) -> str:
    lines = [f"{name} {hashes[name]}" for name in DECIDING]
    lines += [f"{name} {sha256}" for name, sha256 in pretrained.items()]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _sha256(file: Path) -> str:
    try:
        return file_sha256(file)
    except OSError as error:
        raise BundleError(f"{file}: {error.strerror}") from error


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BundleError(f"{file}: {error.strerror}") from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BundleError(f"{file}: not JSON: {error}") from error


def _write_json(file: Path, value: Any) -> None:
    file.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
