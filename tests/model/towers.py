"""Hugging Face folders with tiny random towers and tokenizers of a few letters."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.numpy import load_file, save_file
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor
from torch.nn import functional

from model.config import ModelConfig, RegionConfig
from model.picture import fit
from tests import needs
from tests.model.samples import drawing, sizes

transformers: Any = needs.module("transformers")

POSITIONS = 24
VISION = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 64,
    "patch_size": 16,
}
TEXT = {
    "hidden_size": 24,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": POSITIONS,
}
LETTERS = "abcdefghijklmnopqrstuvwxyz"
# Kinds with a text tower, and the size of their embeddings. Before transformers' pull request 24773
# CLIP configurations named the wrong end token, and many folders still do.
EMBEDDING = {"clip": 16, "clip_before_24773": 16, "siglip": 32, "siglip2": 32}
ALONE = ("dinov2", "dinov2_with_registers", "vit")
# Kinds whose tokens are not the patches.
NO_PATCHES = ("convnext", "swin", "vit_mae")


def write_tower(folder: Path, kind: str, seed: int = 0) -> Path:
    """Weights, configuration and, with a text tower, the tokenizer, as `save_pretrained` does."""
    transformers.set_seed(seed)
    model = _alone(kind) if kind in (*ALONE, *NO_PATCHES) else _with_text_tower(kind, folder)
    # Random towers start with biases of 0 and embeddings that differ little.
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    return folder


def drop_tensors(folder: Path, part: str) -> None:
    """Takes the weights whose names hold `part` out of a folder."""
    file = folder / "model.safetensors"
    kept = {name: array for name, array in load_file(file).items() if part not in name}
    save_file(kept, file, metadata={"format": "pt"})


def tower_regions(folder: Path, pixels: int = 64, feature_size: int = 32) -> RegionConfig:
    """The patches of the tower in a folder."""
    return RegionConfig(kind="tower", folder=str(folder), pixels=pixels, feature_size=feature_size)


def tower_model(folder: Path, dimension: int, pixels: int = 64) -> ModelConfig:
    """The smallest model whose global vectors are the embeddings of the tower in a folder."""
    config = sizes(tower_regions(folder, pixels))
    return config.model_copy(update={"first_stage": "tower", "dimension": dimension})


def picture_embeddings(folder: Path, kind: str, numbers: Sequence[int], pixels: int = 64) -> Tensor:
    """What transformers gives for squeezed drawings, (drawings, D), unit rows.

    Without preprocessor_config.json in the folder, colours go from -1 to 1.
    """
    squeezed = [fit(drawing(number), pixels) for number in numbers]
    half = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    if kind == "siglip2":
        naflex = transformers.Siglip2ImageProcessorPil(
            patch_size=16, max_num_patches=(pixels // 16) ** 2, **half
        )
        inputs = naflex(squeezed, return_tensors="pt")
    else:
        squared = transformers.SiglipImageProcessorPil(do_resize=False, **half)
        inputs = {**squared(squeezed, return_tensors="pt"), "interpolate_pos_encoding": True}
    return _embeddings(folder, "get_image_features", inputs)


def text_embeddings(folder: Path, kind: str, texts: Sequence[str]) -> Tensor:
    """What transformers gives for texts, (texts, D), unit rows.

    CLIP pads to the longest text, SigLIP to the length that it was trained with, as the usage tips
    of the `transformers` documentation say.
    """
    tokenizer = {
        "clip": transformers.CLIPTokenizer,
        "clip_before_24773": transformers.CLIPTokenizer,
        # SiglipTokenizer reads SentencePiece files; the published tokenizer.json is one of this.
        "siglip": transformers.PreTrainedTokenizerFast,
        "siglip2": transformers.Siglip2Tokenizer,
    }[kind].from_pretrained(folder)
    inputs = tokenizer(
        list(texts),
        padding=True if kind.startswith("clip") else "max_length",
        truncation=True,
        max_length=POSITIONS,
        return_tensors="pt",
    )
    return _embeddings(folder, "get_text_features", inputs)


def _embeddings(folder: Path, features: str, inputs: Mapping[str, Any]) -> Tensor:
    model = transformers.AutoModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        return functional.normalize(getattr(model, features)(**inputs).pooler_output, dim=-1)


def _with_text_tower(kind: str, folder: Path) -> Any:
    if kind.startswith("clip"):
        tokenizer = _clip_tokenizer()
        end = 2 if kind == "clip_before_24773" else tokenizer.eos_token_id
    else:
        tokenizer = _siglip_tokenizer() if kind == "siglip" else _siglip2_tokenizer()
        end = tokenizer.eos_token_id
    tokenizer.save_pretrained(folder)
    if kind == "siglip2":
        # Published folders leave lower case to the class that reads them.
        file = folder / "tokenizer.json"
        written = json.loads(file.read_text(encoding="utf-8"))
        written["normalizer"] = written["normalizer"]["normalizers"][1]
        file.write_text(json.dumps(written), encoding="utf-8")
    numbers = {"vocab_size": len(tokenizer), "bos_token_id": 0, "eos_token_id": end}
    text = {**TEXT, **numbers, "pad_token_id": tokenizer.pad_token_id}
    match kind:
        case "clip" | "clip_before_24773":
            return transformers.CLIPModel(
                transformers.CLIPConfig(
                    vision_config=VISION, text_config=text, projection_dim=EMBEDDING[kind]
                )
            )
        case "siglip":
            text = {**text, "projection_size": EMBEDDING[kind]}
            return transformers.SiglipModel(
                transformers.SiglipConfig(vision_config=VISION, text_config=text)
            )
        case "siglip2":
            text = {**text, "projection_size": EMBEDDING[kind]}
            vision = {name: size for name, size in VISION.items() if name != "image_size"}
            vision["num_patches"] = 16
            return transformers.Siglip2Model(
                transformers.Siglip2Config(vision_config=vision, text_config=text)
            )
        case _:
            raise ValueError(kind)


def _alone(kind: str) -> Any:
    # DINOv2 counts its inner size in multiples of the hidden one.
    bare = {key: value for key, value in VISION.items() if key != "intermediate_size"}
    match kind:
        case "dinov2":
            return transformers.Dinov2Model(transformers.Dinov2Config(**bare))
        case "dinov2_with_registers":
            return transformers.Dinov2WithRegistersModel(
                transformers.Dinov2WithRegistersConfig(**bare)
            )
        case "vit":
            return transformers.ViTModel(transformers.ViTConfig(**VISION))
        case "convnext":
            stages = {"hidden_sizes": [8] * 4, "depths": [1] * 4}
            return transformers.ConvNextModel(transformers.ConvNextConfig(**stages))
        case "swin":
            stages = {"embed_dim": 16, "depths": [1, 1], "num_heads": [1, 1]}
            return transformers.SwinModel(
                transformers.SwinConfig(image_size=64, patch_size=4, window_size=4, **stages)
            )
        case "vit_mae":
            return transformers.ViTMAEModel(transformers.ViTMAEConfig(**VISION))
        case _:
            raise ValueError(kind)


def _clip_tokenizer() -> Any:
    """Byte-level pieces, as CLIP's."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("d", "o"), ("do", "g</w>"), ("r", "u"), ("ru", "n")]
    pieces = [*alphabet, *(f"{letter}</w>" for letter in alphabet)]
    pieces += [left + right for left, right in merges]
    # The end has the highest number, from which old configurations tell it.
    pieces += ["<|startoftext|>", "<|endoftext|>"]
    return transformers.CLIPTokenizer(
        vocab={piece: number for number, piece in enumerate(pieces)}, merges=merges
    )


def _siglip_tokenizer() -> Any:
    """Unigram pieces behind the clean-up of SigLIP's published tokenizer.json."""
    pieces = ["<unk>", "</s>", "▁", *LETTERS, "▁dog", "▁a", "run"]
    tokenizer = Tokenizer(models.Unigram([(piece, -float(len(pieces))) for piece in pieces], 0))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Lowercase(),
            normalizers.Replace(Regex(r"[!-/:-@\[-`{-~]"), ""),
            normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Strip(),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="</s>",
        pad_token="</s>",
        unk_token="<unk>",
        model_input_names=["input_ids"],
    )


def _siglip2_tokenizer() -> Any:
    """Gemma's kind of pieces; upper case is there, as in Gemma's own."""
    merges = [("d", "o"), ("do", "g")]
    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁", *LETTERS, *LETTERS.upper()]
    pieces += [".", ",", *(left + right for left, right in merges)]
    return transformers.Siglip2Tokenizer(
        vocab={piece: number for number, piece in enumerate(pieces)},
        merges=merges,
        add_eos_token=True,
        padding_side="right",
        model_input_names=["input_ids"],
    )
