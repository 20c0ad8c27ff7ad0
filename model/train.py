"""Training: cached trunk arrays to a run folder, resumable after a kill to the same result.

Under `torchrun` each rank trains on its share of every batch (`model/ranks.py`); the first one
writes and validates.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from model.alignment import LAYERS, Codes, LayerScores
from model.batches import Batch, epoch_batches, nearest_pictures
from model.coding import (
    by_length,
    code_pictures,
    code_texts,
    score_all,
    single_precision,
    texts_by_length,
)
from model.config import RunConfig
from model.dataset import Split
from model.errors import ConfigError
from model.knowledge import Knowledge
from model.losses import consistency, contrastive, distillation, hinge, tag_prediction
from model.network import Network
from model.ranks import Ranks, gather_codes
from model.recall import recall
from model.tags import content_words, tag_targets
from model.trunk_arrays import PictureArrays
from model.views import cropped
from model.whole_file import whole_file, write_whole
from model.words import TrunkText, some_words

Report = Callable[[dict[str, Any]], None]
HIGHEST_SCALE = 100.0
RANK_SEEDS = 1_000_003


@dataclass(frozen=True)
class TrainingData:
    """A split with its trunk arrays, and one trunk text a caption."""

    split: Split
    features: PictureArrays
    texts: list[TrunkText]

    def first(self, pictures: int) -> "TrainingData":
        """The first so many pictures with their captions."""
        split = self.split.first(pictures)
        return TrainingData(
            split, self.features.take(slice(pictures)), self.texts[: len(split.captions)]
        )


class Trainer:
    """One run. Its folder holds config, knowledge, checkpoint, best weights and curve."""

    def __init__(
        self,
        config: RunConfig,
        knowledge: Knowledge,
        training: TrainingData,
        validation: TrainingData,
        folder: Path,
        ranks: Ranks,
    ) -> None:
        self._config, self._folder, self._ranks = config, folder, ranks
        self._training, self._validation = training, validation
        options = config.training
        batch_size = min(options.batch_pictures, len(training.split.examples))
        if batch_size < ranks.count:
            raise ConfigError(f"{ranks.count} processes share batches of {batch_size} pictures")
        torch.set_num_threads(options.threads)
        torch.manual_seed(options.seed)
        words = content_words(training.split)
        self._targets = torch.from_numpy(tag_targets(words, knowledge.tags))
        self._nearest = nearest_pictures(words)
        self.network = Network(config.model, knowledge.vocabulary)
        self.network.start_from_pretrained()
        self.network.start_tags_at(self._targets.mean(0).numpy())
        self.network.to(ranks.device)
        self._frozen = config.model.first_stage == "tower"
        scales = torch.full((len(LAYERS),), 20.0, device=ranks.device)
        if self._frozen:
            # Cosines of CLIP and SigLIP lie close together: both end at a scale of about 100.
            scales[0] = HIGHEST_SCALE
        self._scales = nn.Parameter(scales.log())
        self._average = {n: p.detach().clone() for n, p in self.network.named_parameters()}
        self._steps = max(1, len(training.split.examples) // options.batch_pictures)
        self._easy_steps = round(options.all_negatives * options.epochs * self._steps)
        self._optimizer, self._schedule = self._optimization()
        self.epoch, self.best, self.best_epoch = 0, -1.0, 0
        if ranks.first:
            _begin(folder, config, knowledge)

    def run(self, report: Report) -> None:
        """Trains the epochs that are left; stops after `patience` of them without a better rsum."""
        options = self._config.training
        while self.epoch < options.epochs and self.epoch - self.best_epoch < options.patience:
            started = time.perf_counter()
            losses = self._train_epoch(report)
            losses["train_s"] = round(time.perf_counter() - started, 1)
            self.epoch += 1
            if self._ranks.first:
                self._finish_epoch(losses, report)
            self.best, best_epoch = self._ranks.agree([self.best, self.best_epoch])
            self.best_epoch = int(best_epoch)

    def _finish_epoch(self, losses: dict[str, float], report: Report) -> None:
        measured = self._validate()
        if measured["rsum"] > self.best:
            self.best, self.best_epoch = measured["rsum"], self.epoch
            best = {name: value.cpu() for name, value in self._averaged_state().items()}
            _save(best, self._folder / "best.pt")
        line = {"epoch": self.epoch, **losses, **measured}
        with (self._folder / "curve.jsonl").open("a") as stream:
            stream.write(json.dumps(line) + "\n")
        self._checkpoint()
        report(line)

    def resume(self) -> bool:
        """Continues from the last checkpoint of this folder; False when there is none."""
        file = self._folder / "checkpoint.pt"
        if not file.is_file():
            self._keep_curve(0)
            return False
        state = torch.load(file, map_location="cpu", weights_only=True)
        self.network.load_state_dict(state["network"])
        self._average = {n: v.to(self._ranks.device) for n, v in state["average"].items()}
        self._scales.data.copy_(state["scales"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])
        self.epoch, self.best, self.best_epoch = state["epoch"], state["best"], state["best_epoch"]
        self._keep_curve(self.epoch)
        return True

    def _keep_curve(self, epochs: int) -> None:
        """Cuts the curve: a kill between its line and the checkpoint would leave the line twice."""
        curve = self._folder / "curve.jsonl"
        if curve.is_file() and self._ranks.first:
            lines = curve.read_text().splitlines()
            if len(lines) > epochs:
                write_whole(curve, "".join(line + "\n" for line in lines[:epochs]))

    def _train_epoch(self, report: Report) -> dict[str, float]:
        options = self._config.training
        # Each rank drops other regions.
        torch.manual_seed(options.seed * 1000 + self.epoch + RANK_SEEDS * self._ranks.rank)
        random = np.random.default_rng([options.seed, self.epoch, 1])
        self.network.train()
        total: dict[str, float] = {}
        batches = epoch_batches(self._training.split, self._nearest, options, self.epoch)
        for step, batch in enumerate(batches, start=1):
            steps_done = self.epoch * self._steps + step
            losses = self._losses(batch, random, steps_done > self._easy_steps)
            loss = torch.stack(list(losses.values())).sum()
            self._optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self._ranks.average_gradients([*self.network.parameters(), self._scales])
            nn.utils.clip_grad_norm_(self.network.parameters(), options.clip)
            self._optimizer.step()
            self._schedule.step()
            self._update_average(steps_done)
            for name, value in {**losses, "loss": loss}.items():
                total[name] = total.get(name, 0.0) + float(value.detach()) / self._steps
            if self._ranks.first:
                report({"epoch": self.epoch + 1, "step": step, "steps": self._steps})
        return {f"train_{name}": round(value, 4) for name, value in total.items()}

    def _losses(
        self, batch: Batch, random: np.random.Generator, hardest: bool
    ) -> dict[str, Tensor]:
        options = self._config.training
        layers, picture_tags, text_tags = self._scores(batch, random)
        owners = torch.from_numpy(batch.owners).to(self._ranks.device)
        scales = self._scales.exp().clamp(max=HIGHEST_SCALE)
        scores = (layers.global_, layers.entity, layers.relation, layers.semantic)
        weights = (
            0.0 if self._frozen else options.global_weight,
            options.entity_weight,
            options.relation_weight,
            options.semantic_weight,
        )
        losses = {
            name: weight
            * (
                contrastive(score, owners, scale)
                if options.objective == "contrastive"
                else hinge(score, owners, options.margin, hardest)
            )
            for name, score, weight, scale in zip(LAYERS, scores, weights, scales, strict=True)
            if weight
        }
        teachers = [
            score * scale
            for score, scale, weight in (
                (layers.entity, scales[1], options.entity_weight),
                (layers.relation, scales[2], options.relation_weight),
            )
            if weight
        ]
        if options.distillation_weight and teachers and not self._frozen:
            losses["distillation"] = options.distillation_weight * distillation(
                layers.global_ * scales[0], torch.stack(teachers).sum(0)
            )
        if options.tag_weight:
            targets = self._targets[batch.pictures].to(self._ranks.device)
            losses["tags"] = options.tag_weight * (
                tag_prediction(picture_tags, targets) + tag_prediction(text_tags, targets[owners])
            )
        if options.consistency_weight:
            losses["consistency"] = options.consistency_weight * consistency(
                picture_tags, text_tags, owners
            )
        return losses

    def _scores(
        self, batch: Batch, random: np.random.Generator
    ) -> tuple[LayerScores, Tensor, Tensor]:
        """All pairs of the batch, and the tags of its pictures and of its texts.

        This rank encodes its share of the pictures, with their texts.
        """
        options, ranks = self._config.training, self._ranks
        shown = random.integers(self._training.features.views, size=len(batch.pictures))
        shares = batch.shares(ranks.count)
        mine = shares[ranks.rank]
        arrays = self._training.features.seen(batch.pictures[mine.pictures], shown[mine.pictures])
        # Ranks crop shares of different sizes, and have to draw the same numbers afterwards.
        windows = np.random.default_rng(random.integers(2**32))
        if options.smallest_crop < 1:
            arrays = cropped(arrays, options.smallest_crop, windows)
        trunk_texts = [
            some_words(self._training.texts[i], options.kept_words, random) for i in batch.captions
        ]
        with torch.autocast(
            ranks.device.partition(":")[0], torch.bfloat16, options.precision == "bfloat16"
        ):
            pictures = self.network.pictures(
                torch.from_numpy(arrays).to(ranks.device).float(), options.kept_regions
            )
            own = trunk_texts[mine.captions]
            texts = texts_by_length(self.network, own, batch=-(-len(own) // 2))
        pictures = single_precision(pictures)
        texts = gather_codes(
            ranks,
            single_precision(texts),
            [share.captions.stop - share.captions.start for share in shares],
            max(len(text.spans) for text in trunk_texts),
        )
        scored = self._align(pictures, texts)
        layers = (scored.global_, scored.entity, scored.relation, scored.semantic)
        counts = [share.pictures.stop - share.pictures.start for share in shares]
        return (
            LayerScores(*(ranks.gather(layer, counts) for layer in layers)),
            ranks.gather(pictures.tags, counts),
            texts.tags,
        )

    def _align(self, pictures: Codes, texts: Codes) -> LayerScores:
        """All pairs, short texts apart from long ones: padding would cost as much as words."""
        blocks = list(by_length(texts, -(-len(texts.global_) // 2)))
        back = torch.cat([rows for rows, _ in blocks]).argsort()
        layers = self._config.trained_layers
        parts = [self.network.alignment(pictures, part, layers) for _, part in blocks]
        return LayerScores(
            *(
                torch.cat([getattr(part, name) for part in parts], dim=1)[:, back]
                for name in ("global_", "entity", "relation", "semantic")
            )
        )

    def _validate(self) -> dict[str, float]:
        """rsum of the averaged weights on the validation data: each layer, then all four."""
        kept = {name: p.detach().clone() for name, p in self.network.named_parameters()}
        self._load(self._average)
        self.network.eval()
        some = self._validation.first(self._config.training.validation_pictures)
        pictures = code_pictures(self.network, some.features)
        texts = code_texts(self.network, some.texts)
        layers = self._config.trained_layers
        scores = score_all(self.network.alignment, pictures, texts, layers=layers)
        self._load(kept)
        owners = some.split.owners
        # Until weights are fitted at export, each layer counts by its own learned scale.
        scale = self._scales.detach().exp().tolist()
        together = sum(
            s * scores[name] for name, s in zip(LAYERS, scale, strict=True) if name in layers
        )
        rows = {name: recall(scores[name], scores[name], owners).rsum for name in layers}
        rows["rsum"] = recall(together, together, owners).rsum
        return {f"val_{k}" if k != "rsum" else k: round(v, 2) for k, v in rows.items()}

    def _optimization(
        self,
    ) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        options = self._config.training
        rates = {
            "picture_tail": options.backbone_rate,
            "text_tail": (
                options.text_rate
                if self._config.model.text.kind == "pretrained"
                else options.learning_rate
            ),
        }
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        for name, parameter in self.network.named_parameters():
            part = name.removeprefix("first_stage.").split(".")[0]
            rate = rates.get(part, options.learning_rate)
            decay = options.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((rate, decay), []).append(parameter)
        groups.setdefault((options.learning_rate, 0.0), []).append(self._scales)
        optimizer = torch.optim.AdamW(
            [{"params": p, "lr": r, "weight_decay": d} for (r, d), p in groups.items()]
        )
        total = options.epochs * self._steps + 2
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=[max(rate, 1e-12) for rate, _ in groups],
            total_steps=total,
            # OneCycleLR divides by the warm-up's steps less one.
            pct_start=max(2, round(options.warm_up * total)) / total,
            cycle_momentum=False,
        )
        return optimizer, schedule

    @torch.no_grad()
    def _update_average(self, step: int) -> None:
        # Early on the average follows closely, or it would remember the start.
        decay = min(self._config.training.ema, (1 + step) / (10 + step))
        for name, parameter in self.network.named_parameters():
            self._average[name].lerp_(parameter, 1 - decay)

    @torch.no_grad()
    def _load(self, values: dict[str, Tensor]) -> None:
        for name, parameter in self.network.named_parameters():
            parameter.copy_(values[name])

    def _averaged_state(self) -> dict[str, Tensor]:
        return {**self.network.state_dict(), **self._average}

    def _checkpoint(self) -> None:
        _save(
            {
                "network": self.network.state_dict(),
                "average": self._average,
                "scales": self._scales.data,
                "optimizer": self._optimizer.state_dict(),
                "schedule": self._schedule.state_dict(),
                "epoch": self.epoch,
                "best": self.best,
                "best_epoch": self.best_epoch,
            },
            self._folder / "checkpoint.pt",
        )


def _begin(folder: Path, config: RunConfig, knowledge: Knowledge) -> None:
    """Writes what a run keeps of its beginning; a run that is resumed has it."""
    if (folder / "config.json").is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    words = {"vocabulary": knowledge.vocabulary, "tags": knowledge.tags}
    write_whole(folder / "knowledge.json", json.dumps(words, indent=1))
    # The configuration comes last: where it stands, the run is begun and whole.
    write_whole(folder / "config.json", config.model_dump_json(indent=2))


def _save(state: dict[str, Any], file: Path) -> None:
    with whole_file(file) as stream:
        torch.save(state, stream)
