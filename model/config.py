"""Sizes and options of the model and its training: every number of `docs/method.md`."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from model.errors import ConfigError

CNN_FEATURES = 1280
CNN_STRIDE = 32
MINILM_FEATURES = 384


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class RegionConfig(_Section):
    """Where the candidate regions of a picture come from."""

    kind: Literal["grid", "tower", "precomputed"] = "grid"
    pixels: int = Field(
        288, ge=32, le=1024, description="side of the square the picture is fitted to"
    )
    side: int = Field(
        6, ge=1, le=32, description="grid: regions on a side, pooled from the last map"
    )
    tuned: bool = Field(
        True, description="grid: the last blocks train; false caches what they give untrained"
    )
    served_views: Literal[1, 2, 3, 4, 6] = Field(
        1,
        description="grid: views averaged outside training: as it is, mirrored, then the middle "
        "and that mirrored, or the four corners",
    )
    feature_size: int = Field(1280, ge=1, description="grid: 1280")
    folder: str | None = Field(None, description="tower: local Hugging Face folder")

    @model_validator(mode="after")
    def _grid_fits_its_network(self) -> Self:
        if self.kind == "grid" and self.feature_size != CNN_FEATURES:
            raise ValueError(f"feature_size: EfficientNet-Lite2 gives {CNN_FEATURES}")
        if self.kind != "grid" and (self.served_views > 1 or not self.tuned):
            raise ValueError("served_views and tuned: only for a grid")
        if self.kind == "grid" and self.pixels % CNN_STRIDE:
            raise ValueError(f"pixels: {self.pixels} is no multiple of {CNN_STRIDE}")
        return self


class TextConfig(_Section):
    """What stands in front of the text heads."""

    kind: Literal["pretrained", "vocabulary"] = "pretrained"
    feature_size: int = Field(384, ge=1, description="384 for MiniLM words, 300 for own embeddings")
    max_words: int = Field(64, ge=1, le=64)
    tuned_layers: int = Field(
        2, ge=0, le=6, description="pretrained: last MiniLM layers that train"
    )
    recurrent_size: int = Field(256, ge=0, description="hidden size of the Bi-GRU; 0 leaves it out")
    minimum_count: int = Field(3, ge=1, description="vocabulary: captions a word has to appear in")
    vocabulary_file: str | None = Field(
        None, description="vocabulary: published word list (JSON) instead of the captions' own"
    )

    @model_validator(mode="after")
    def _words_fit_their_network(self) -> Self:
        if self.kind == "pretrained" and self.feature_size != MINILM_FEATURES:
            raise ValueError(f"feature_size: MiniLM gives {MINILM_FEATURES}")
        if self.kind == "pretrained" and self.vocabulary_file is not None:
            raise ValueError('vocabulary_file: only for kind = "vocabulary"')
        return self


class ModelConfig(_Section):
    """One model. Saved as `config.json` in its bundle."""

    format: Literal[1] = 1
    regions: RegionConfig = RegionConfig()
    text: TextConfig = TextConfig()
    dimension: int = Field(512, ge=8, description="size of the global vectors")
    fine_dimension: int = Field(256, ge=8, description="size of region, word and relation vectors")
    head_size: int = Field(256, ge=8, description="hidden size of the residual MLPs")
    attention_size: int = Field(
        128, ge=8, description="query and key size of salient self-attention"
    )
    keep: int = Field(36, ge=1, description="most salient regions kept, K")
    relations: int = Field(
        12, ge=1, description="most salient region contexts kept as relation nodes"
    )
    first_stage: Literal["shared", "own", "tower"] = Field(
        "shared",
        description="own: global vectors from tuned networks of their own; tower: the embeddings "
        "of the CLIP or SigLIP folder whose patches are the regions, frozen",
    )
    assignment: Literal["soft", "hard"] = Field(
        "soft", description="fine alignment: attention (SCAN), or the most similar node (CHAN)"
    )
    directions: Literal["both", "word-to-region", "region-to-word"] = Field(
        "both",
        description="which way fine nodes are matched; SCAN's t-i and i-t are the single ones",
    )
    pooling: Literal["weighted", "generalised"] = Field(
        "weighted", description="global vectors: learned node weights, or VSE∞'s operator"
    )
    node_weights: Literal["learned", "equal"] = Field(
        "learned", description="how much each node counts in a fine score"
    )
    phrase: int = Field(2, ge=2, le=5, description="words in a relation window")
    tags: int = Field(400, ge=1, le=1000, description="tag vocabulary T")
    concepts: bool = Field(
        False,
        description="a fifth layer, which nothing trains: ImageNet classes of both sides; for a "
        "grid and pretrained text",
    )
    dropout: float = Field(0.2, ge=0, lt=1)

    @model_validator(mode="after")
    def _concepts_have_their_networks(self) -> Self:
        if self.concepts and (self.regions.kind != "grid" or self.text.kind != "pretrained"):
            raise ValueError("concepts: only for regions.kind grid and text.kind pretrained")
        return self

    @model_validator(mode="after")
    def _first_stage_has_its_tower(self) -> Self:
        if self.first_stage == "tower" and self.regions.kind != "tower":
            raise ValueError(
                f"first_stage: tower needs regions.kind tower; it is {self.regions.kind}"
            )
        return self


class HubnessConfig(_Section):
    """Querybank normalisation (Bogolin et al., CVPR 2022)."""

    beta: float = Field(20.0, gt=0)
    strengths: tuple[Annotated[float, Field(ge=0)], ...] = Field(
        (0.4, 0.55, 0.7, 0.85, 1.0), min_length=1, description="lambdas to choose from, on val"
    )
    global_captions: int = Field(3000, ge=1)
    global_pictures: int = Field(1500, ge=1)
    fine_captions: int = Field(400, ge=1)
    fine_pictures: int = Field(160, ge=1)


class TrainingConfig(_Section):
    """How a model is trained; `configs/quality/tuned-large.toml` gave the shipped bundle."""

    epochs: int = Field(7, ge=1)
    patience: int = Field(3, ge=1, description="epochs without a better val rsum before stopping")
    batch_pictures: int = Field(64, ge=2)
    captions_per_picture: int = Field(2, ge=1, le=5)
    neighbours: float = Field(0.33, ge=0, le=0.9, description="share of a batch: near neighbours")
    learning_rate: float = Field(7e-4, gt=0)
    backbone_rate: float = Field(1.5e-4, ge=0, description="learning rate of the region tail")
    text_rate: float = Field(3e-5, ge=0, description="learning rate of the MiniLM layers")
    weight_decay: float = Field(1e-2, ge=0)
    warm_up: float = Field(0.1, ge=0, lt=1, description="share of all steps")
    clip: float = Field(2.0, gt=0, description="largest gradient norm")
    smallest_crop: float = Field(
        1.0, gt=0, le=1, description="grid that is tuned: share of a map's side seen in training"
    )
    kept_regions: float = Field(0.78, gt=0, le=1, description="share of regions kept in training")
    kept_words: float = Field(0.9, gt=0, le=1)
    global_weight: float = Field(
        1.0, ge=0, description="trains nothing where model.first_stage is tower"
    )
    entity_weight: float = Field(1.0, ge=0)
    relation_weight: float = Field(1.0, ge=0)
    semantic_weight: float = Field(0.5, ge=0, description="contrast of the tag scores")
    tag_weight: float = Field(0.5, ge=0, description="tag prediction, both sides")
    consistency_weight: float = Field(0.1, ge=0, description="agreement of both tag predictions")
    distillation_weight: float = Field(
        0.5, ge=0, description="global score towards the fine one; not where it is a tower's"
    )
    objective: Literal["contrastive", "hinge"] = Field(
        "contrastive", description="of each layer: InfoNCE, or VSE++'s hinge"
    )
    margin: float = Field(0.2, ge=0, description="hinge")
    all_negatives: float = Field(
        0.1, ge=0, le=1, description="hinge: share of steps with all negatives, then the hardest"
    )
    ema: float = Field(0.997, ge=0, lt=1)
    views: int = Field(4, ge=1, le=16, description="cached views of a picture, see model/views.py")
    validation_pictures: int = Field(
        500, ge=2, description="val pictures, with their captions, scored after each epoch"
    )
    seed: int = Field(0, ge=0, lt=2**32)
    threads: int = Field(1, ge=1)
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="auto: a GPU if there is one"
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="of the encoders in training; scores and losses stay in float32"
    )


class RunConfig(_Section):
    """A training run: the model, its offsets, its training."""

    model: ModelConfig = ModelConfig()
    hubness: HubnessConfig = HubnessConfig()
    training: TrainingConfig = TrainingConfig()

    @property
    def trained_layers(self) -> tuple[str, ...]:
        """The layers of alignment that have a weight in the loss.

        The global one also has it as what the fine ones are distilled into.
        """
        options = self.training
        fine = options.entity_weight or options.relation_weight
        tower = self.model.first_stage == "tower"
        weights = {
            "global": options.global_weight or (fine and options.distillation_weight and not tower),
            "entity": options.entity_weight,
            "relation": options.relation_weight,
            "semantic": options.semantic_weight,
        }
        return tuple(name for name, weight in weights.items() if weight)

    @model_validator(mode="after")
    def _maps_are_there_to_crop(self) -> Self:
        regions = self.model.regions
        if self.training.smallest_crop < 1 and (regions.kind != "grid" or not regions.tuned):
            raise ValueError("training.smallest_crop: only for a grid that is tuned")
        return self

    @model_validator(mode="after")
    def _something_trains(self) -> Self:
        layers = set(self.trained_layers)
        if self.model.first_stage == "tower":
            layers.discard("global")
        if not (layers or self.training.tag_weight or self.training.consistency_weight):
            raise ValueError("training: every loss that would train something has weight 0")
        if not self.trained_layers:
            raise ValueError(
                "training: global_weight, entity_weight, relation_weight and semantic_weight are "
                "all 0; epochs are compared by the layers that have one"
            )
        return self


def with_served_views(config: RunConfig, views: int) -> RunConfig:
    """The same run, its pictures served in so many views. Raises ConfigError."""
    changed = config.model_dump()
    changed["model"]["regions"]["served_views"] = views
    try:
        return RunConfig.model_validate(changed)
    except ValidationError as error:
        raise ConfigError("; ".join(map(_line, error.errors()))) from error


def read_run_config(file: Path | None) -> RunConfig:
    """The run configuration in a TOML file, defaults for what it leaves out.

    Raises ConfigError naming the field and its limit.
    """
    if file is None:
        return RunConfig()
    try:
        return RunConfig.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{file}: {error}") from error
    except ValidationError as error:
        raise ConfigError(f"{file}: " + "; ".join(map(_line, error.errors()))) from error


def _line(error: ErrorDetails) -> str:
    place = ".".join(map(str, error["loc"]))
    message = error["msg"].removeprefix("Value error, ")
    # What is wrong with the whole has no place, and names its section itself.
    return f"{place}: {message}" if place else message
