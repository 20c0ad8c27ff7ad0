"""The field's table: recall of global only, two-stage and exhaustive scoring, and of each layer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from model.alignment import CONCEPT, Codes
from model.bank import Bank, bank_offsets, picture_bank_scores, text_bank_scores
from model.coding import score_all
from model.errors import ConfigError
from model.fusion import GLOBAL_ALONE, Fusion, fit, normalised
from model.network import Network
from model.progress import Progress, silent
from model.recall import Recall, recall

# Around the fitted share of the global score: the fine offsets, which come later, move its best.
GLOBAL_SHARES = (0.4, 0.6, 0.8, 1.0, 1.3)
# Around that of the concepts: they are coarse, so likelihood trusts them less than recall would.
CONCEPT_SHARES = (1.0, 1.25, 1.6)


@dataclass(frozen=True)
class PairScores:
    """Everything scored on a split of I pictures and T texts.

    layers: the four, and "concept" where the model has it, each (I, T); owners: (T,); offsets of
    pictures (I,) and of texts (T,).
    """

    layers: Mapping[str, np.ndarray]
    owners: np.ndarray
    picture_global: np.ndarray
    picture_fine: np.ndarray
    text_global: np.ndarray
    text_fine: np.ndarray

    @property
    def relevant(self) -> np.ndarray:
        """(I, T) bool: the text describes the picture."""
        pictures = np.arange(len(self.layers["global"]))
        matching: np.ndarray = pictures[:, None] == self.owners[None, :]
        return matching

    def first_stage(self, strength: float) -> tuple[np.ndarray, np.ndarray]:
        """Image to text, text to image: global scores less the found items' offsets, (I, T)."""
        strong, scores = np.float32(strength), self.layers["global"]
        return (
            scores - strong * self.text_global[None, :],
            scores - strong * self.picture_global[:, None],
        )

    def total(self, fusion: Fusion, strength: float) -> tuple[np.ndarray, np.ndarray]:
        """Image to text, text to image: final scores, each (I, T)."""
        strong, fine = np.float32(strength), fusion.fine(self.layers)
        first = self.first_stage(strength)
        weight = np.float32(fusion.global_)
        return (
            weight * first[0] + fine - strong * self.text_fine[None, :],
            weight * first[1] + fine - strong * self.picture_fine[:, None],
        )


@dataclass(frozen=True)
class BankScores:
    """Each layer between the items of a split and the query bank: (I, bank) and (T, bank)."""

    pictures: Mapping[str, np.ndarray]
    texts: Mapping[str, np.ndarray]
    beta: float

    def offsets(self, pairs: PairScores, fusion: Fusion) -> PairScores:
        """The pairs with the offsets that belong to these layer weights."""
        of_pictures = bank_offsets(self.pictures, fusion, self.beta)
        of_texts = bank_offsets(self.texts, fusion, self.beta)
        return replace(
            pairs,
            picture_global=of_pictures.global_,
            picture_fine=of_pictures.fine,
            text_global=of_texts.global_,
            text_fine=of_texts.fine,
        )


def score_pairs(
    network: Network,
    pictures: Codes,
    texts: Codes,
    owners: np.ndarray,
    bank: Bank,
    beta: float,
    progress: Progress = silent,
) -> tuple[PairScores, BankScores]:
    """Scores every pair of a split, and every item with the bank; offsets are still zero."""
    layers = score_all(network.alignment, pictures, texts, progress)
    no_picture, no_text = (np.zeros(count, dtype=np.float32) for count in layers["global"].shape)
    pairs = PairScores(layers, owners, no_picture, no_picture, no_text, no_text)
    with_bank = BankScores(
        picture_bank_scores(network, bank, pictures), text_bank_scores(network, bank, texts), beta
    )
    return pairs, with_bank


def two_stage(
    first: tuple[np.ndarray, np.ndarray], total: tuple[np.ndarray, np.ndarray], candidates: int
) -> tuple[np.ndarray, np.ndarray]:
    """Final scores of each query's best candidates by the first stage, -inf for all others."""
    by_picture = _among_best(first[0], total[0], candidates)
    by_text = _among_best(first[1].T, total[1].T, candidates).T
    return by_picture, by_text


def evaluation_rows(
    pairs: PairScores, fusion: Fusion, strength: float, candidates: int
) -> dict[str, Recall]:
    """The three lines that every report shows, with and without hubness offsets."""
    rows = {}
    for suffix, strong in (("", strength), (" (no offsets)", 0.0)):
        first, total = pairs.first_stage(strong), pairs.total(fusion, strong)
        chosen = two_stage(first, total, candidates)
        rows[f"global only{suffix}"] = recall(*first, pairs.owners)
        rows[f"two-stage, {candidates} candidates{suffix}"] = recall(*chosen, pairs.owners)
        rows[f"exhaustive{suffix}"] = recall(*total, pairs.owners)
    return rows


@dataclass(frozen=True)
class Fitted:
    """Layer weights and strength of the offsets as fitted, and the pairs with those offsets."""

    fusion: Fusion
    strength: float
    pairs: PairScores

    @property
    def recall(self) -> Recall:
        """Recall of exhaustive scoring."""
        return recall(*self.pairs.total(self.fusion, self.strength), self.pairs.owners)


def fit_fusion(
    pairs: PairScores,
    bank: BankScores,
    strengths: Sequence[float],
    layers: Sequence[str] | None = None,
) -> Fitted:
    """Weights and strength fitted on a split, of the layers named, or of all there are.

    Weights and fine offsets depend on each other: weights are fitted on the layers with the
    offsets of the global score alone, at the middle strength; then the fine offsets are computed,
    and strength and shares of the global score and of the concepts are chosen together by rsum.
    """
    layers = tuple(pairs.layers) if layers is None else tuple(layers)
    middle = sorted(strengths)[len(strengths) // 2]
    first = bank.offsets(pairs, GLOBAL_ALONE).first_stage(middle)
    fusion = fit(
        {**pairs.layers, "global": first[1]},
        {**pairs.layers, "global": first[0]},
        pairs.owners,
        layers,
    )
    alone = "global" not in layers or fusion == GLOBAL_ALONE
    tried = []
    for concept_share in CONCEPT_SHARES if fusion.concept else (1.0,):
        shifted = with_concept_share(fusion, concept_share)
        offset = bank.offsets(pairs, shifted)
        tried += [
            Fitted(shifted.model_copy(update={"global_": share}), strength, offset)
            for strength in strengths
            for share in (
                shifted.global_ * factor for factor in ((1.0,) if alone else GLOBAL_SHARES)
            )
        ]
    return max(tried, key=lambda one: one.recall.rsum)


def with_concept_share(fusion: Fusion, factor: float) -> Fusion:
    """The fusion with so many times the weight of concepts before all are normalised again."""
    weights = fusion.model_dump(by_alias=True)
    return normalised(weights | {CONCEPT: weights[CONCEPT] * factor})


def ablation_rows(
    pairs: PairScores, bank: BankScores, strengths: Sequence[float]
) -> dict[str, Recall]:
    """Each layer alone, each left out, all: weights and offsets fitted anew for every row."""
    layers = tuple(pairs.layers)
    sets: dict[str, tuple[str, ...]] = {f"{layer} alone": (layer,) for layer in layers}
    sets["global + entity"] = ("global", "entity")
    for layer in layers:
        sets[f"without {layer}"] = tuple(other for other in layers if other != layer)
    sets["all layers"] = layers
    return {
        name: fit_fusion(pairs, bank, strengths, layers).recall for name, layers in sets.items()
    }


def candidate_coverage(
    pairs: PairScores, fusion: Fusion, strength: float, candidates: int, top: int = 10
) -> tuple[float, float]:
    """Share in percent of the exhaustive top 10 that the first stage hands on, each direction."""
    first, total = pairs.first_stage(strength), pairs.total(fusion, strength)
    shares = []
    for by_first, by_total in ((first[0], total[0]), (first[1].T, total[1].T)):
        count = min(candidates, by_first.shape[1])
        handed = np.argpartition(-by_first, count - 1, axis=1)[:, :count]
        best = np.argsort(-by_total, axis=1)[:, :top]
        held = np.zeros(by_first.shape, dtype=bool)
        np.put_along_axis(held, handed, True, axis=1)
        shares.append(float(np.take_along_axis(held, best, axis=1).mean() * 100))
    return shares[0], shares[1]


def in_folds(pairs: PairScores, count: int) -> list[PairScores]:
    """The pairs of each of `count` folds of pictures, with their own texts (MSCOCO 1K).

    Raises ConfigError when there are more folds than pictures.
    """
    if count > len(pairs.picture_global):
        raise ConfigError(f"folds: {count} of {len(pairs.picture_global)} pictures")
    parts = []
    for rows in np.array_split(np.arange(len(pairs.picture_global)), count):
        columns = np.flatnonzero(np.isin(pairs.owners, rows))
        parts.append(
            PairScores(
                {name: layer[np.ix_(rows, columns)] for name, layer in pairs.layers.items()},
                pairs.owners[columns] - rows[0],
                pairs.picture_global[rows],
                pairs.picture_fine[rows],
                pairs.text_global[columns],
                pairs.text_fine[columns],
            )
        )
    return parts


def mean_recall(found: Sequence[Recall]) -> Recall:
    """The mean of each figure over folds."""
    forwards = np.mean([one.image_to_text for one in found], axis=0).tolist()
    backwards = np.mean([one.text_to_image for one in found], axis=0).tolist()
    return Recall(tuple(forwards), tuple(backwards))


def _among_best(first: np.ndarray, total: np.ndarray, candidates: int) -> np.ndarray:
    count = min(candidates, first.shape[1])
    best = np.argpartition(-first, count - 1, axis=1)[:, :count]
    kept = np.full_like(total, -np.inf)
    np.put_along_axis(kept, best, np.take_along_axis(total, best, axis=1), axis=1)
    return kept
