"""A CLIP or SigLIP folder, trained on, exported and asked: its embeddings are the first stage."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from model.bundle import Bundle, load_bundle
from model.config import RunConfig, TextConfig
from model.errors import BundleError
from model.export import Edition, export_run
from model.matcher import Encoded, Matcher
from model.report import split_report
from model.run import Run, train_run
from model.trunk_arrays import caption_arrays
from tests.model.conftest import ignore, quiet
from tests.model.samples import TINY_HUBNESS, TINY_TRAINING, drawing
from tests.model.towers import (
    EMBEDDING,
    picture_embeddings,
    text_embeddings,
    tower_model,
    write_tower,
)

SENTENCES = ["a red square lies on a green ground", "A dog!", "", "a blue circle " * 30]
PICTURES = range(3)


@dataclass(frozen=True)
class Trained:
    """A run on a tower, and its bundle."""

    kind: str
    tower: Path
    run: Run
    folder: Path
    bundle: Bundle


@pytest.fixture(scope="module", params=["clip", "siglip"])
def trained(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, captioned_folder: Path
) -> Trained:
    kind, folder = request.param, tmp_path_factory.mktemp(request.param)
    tower = write_tower(folder / "tower", kind)
    config = RunConfig(
        model=tower_model(tower, EMBEDDING[kind]), hubness=TINY_HUBNESS, training=TINY_TRAINING
    )
    run = train_run(
        config, captioned_folder, folder / "run", folder / "cache", False, quiet, ignore
    )
    export_run(run, folder / "bundle", Edition("explained tower"))
    return Trained(kind, tower, run, folder / "bundle", load_bundle(folder / "bundle"))


def test_only_the_fine_layers_are_trained_and_all_are_validated(trained: Trained) -> None:
    curve = (trained.run.folder / "curve.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in curve.splitlines()]
    assert lines[1]["train_loss"] < lines[0]["train_loss"]
    for line in lines:
        assert {"train_entity", "train_relation", "train_semantic", "train_tags"} <= line.keys()
        assert not {"train_global", "train_distillation"} & line.keys()
        assert {"val_global", "val_entity", "val_relation", "val_semantic"} <= line.keys()
    assert lines[0]["val_global"] == lines[1]["val_global"]
    scales = torch.load(trained.run.folder / "checkpoint.pt", weights_only=True)["scales"].exp()
    assert scales[0] == pytest.approx(100, rel=1e-5)
    assert not np.isclose(scales[1:], 20, rtol=1e-5).any()


def scores(matcher: Matcher, text: Encoded, pictures: list[Encoded]):
    first = np.stack([picture.vector for picture in pictures]) @ text.query
    return matcher.score(text, "text", first, [picture.arrays for picture in pictures])


def test_the_global_score_is_the_cosine_of_the_towers_own_embeddings(trained: Trained) -> None:
    matcher = Matcher(trained.bundle)
    pictures = matcher.encode_pictures([drawing(number) for number in PICTURES])
    texts = matcher.encode_texts(SENTENCES)
    cosines = (
        text_embeddings(trained.tower, trained.kind, SENTENCES)
        @ picture_embeddings(trained.tower, trained.kind, PICTURES).T
    )
    for text, expected in zip(texts, cosines, strict=True):
        found = scores(matcher, text, pictures)
        np.testing.assert_allclose(found.global_, expected, atol=2e-3)
        for layer in (found.entity, found.relation, found.semantic, found.total, found.probability):
            assert layer.shape == (len(PICTURES),) and np.isfinite(layer).all()
    assert matcher.dimension == EMBEDDING[trained.kind] + 1


def test_words_are_explained_with_patches(trained: Trained) -> None:
    matcher = Matcher(trained.bundle)
    (picture,) = matcher.encode_pictures([drawing(0)])
    (text,) = matcher.encode_texts(SENTENCES[:1])
    explanation = matcher.explain(text.arrays, picture.arrays)
    assert len(explanation.words) == 8
    for word in explanation.words:
        for (left, top, right, bottom), _ in word.regions:
            assert (right - left, bottom - top) == pytest.approx((1 / 4, 1 / 4), abs=1e-3)


def test_the_report_and_the_card_tell_of_the_tower(
    trained: Trained, captioned_folder: Path, tmp_path: Path
) -> None:
    report = split_report(trained.bundle, captioned_folder, "val", tmp_path, 100, 1, False, quiet)
    measured = trained.bundle.report["rows"]["global only (no offsets)"]
    found = report.rows["global only (no offsets)"]
    np.testing.assert_allclose(found.text_to_image, measured["text_to_image"], atol=0.1)
    card = (trained.folder / "README.md").read_text(encoding="utf-8")
    assert f"Global vectors of {EMBEDDING[trained.kind]}, the tower's own embeddings" in card


@pytest.mark.parametrize("file", ["tokenizer.json", "model.safetensors"])
def test_a_bundle_is_refused_when_its_tower_has_changed(
    trained: Trained, tmp_path: Path, file: str
) -> None:
    kept = shutil.copyfile(trained.tower / file, tmp_path / file)
    try:
        with (trained.tower / file).open("ab") as stream:
            stream.write(b"\n")
        with pytest.raises(BundleError, match="fingerprint"):
            load_bundle(trained.folder)
    finally:
        shutil.copyfile(kept, trained.tower / file)
    assert load_bundle(trained.folder).fingerprint == trained.bundle.fingerprint


@pytest.mark.parametrize("kind", ["vocabulary", "pretrained"])
def test_embeddings_of_captions_are_cached_beside_their_words(tmp_path: Path, kind: str) -> None:
    tower = write_tower(tmp_path / "tower", "clip")
    size = 384 if kind == "pretrained" else 16
    text = TextConfig(kind=kind, feature_size=size, recurrent_size=8)
    config = tower_model(tower, EMBEDDING["clip"]).model_copy(update={"text": text})
    words = config.model_copy(update={"first_stage": "shared"})
    captions, cache, steps = ["a dog runs", "", "\ud83d", "grass"], tmp_path / "cache", []

    def cached(model, folder=cache):
        return caption_arrays(model, ("dog",), captions, folder, lambda *s: steps.append(s))

    plain, first = cached(words), cached(config)
    computed = len(steps)
    second = cached(config)
    assert len(steps) == computed > 0
    expected = text_embeddings(tower, "clip", [*captions[:2], "?", captions[3]])
    for number, (one, other, bare) in enumerate(zip(first, second, plain, strict=True)):
        np.testing.assert_array_equal(one.embedding, other.embedding)
        np.testing.assert_allclose(one.embedding, expected[number], atol=1e-3)
        np.testing.assert_array_equal(one.states, bare.states)
        assert bare.embedding.shape == (0,)

    write_tower(tower, "clip", seed=1)
    assert not np.allclose(cached(config)[0].embedding, first[0].embedding, atol=1e-2)
