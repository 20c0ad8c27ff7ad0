"""The text tower of a CLIP or SigLIP folder: its own embedding of a whole text.

The tokenizer is the folder's `tokenizer.json`. Padding and pooling are those that the towers were
trained with, and that transformers' `get_text_features` has.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn
from torch.nn import functional

from model.config import ModelConfig
from model.errors import ConfigError
from model.tower import load_tower, naming, tower_folder
from model.words import encodable

BATCH = 64


class TextTower:
    """Embeddings of texts, frozen. Raises ConfigError when the folder's files don't make one."""

    def __init__(self, config: ModelConfig, device: str = "cpu") -> None:
        self._device, self.dimension = device, config.dimension
        whole = load_tower(config)
        self._model = whole.text_model.eval().requires_grad_(False).to(device)
        # As on the vision side, and SigLIP's text tower ends with its own projection.
        self._projection = getattr(whole, "text_projection", nn.Identity()).to(device)
        self._lower_case = whole.config.model_type != "clip"
        folder = tower_folder(config.regions)
        self._tokenizer = _tokenizer(folder)
        positions = int(self._model.config.max_position_embeddings)
        self._tokenizer.enable_truncation(positions)
        # CLIP reads the state of the end token, which sees nothing behind it. SigLIP reads the last
        # state, so it always pads to the full length, and it attends to the padding.
        length = None if whole.config.model_type == "clip" else positions
        self._tokenizer.enable_padding(pad_id=_padding(folder, self._tokenizer), length=length)

    @torch.inference_mode()
    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Any strings, cut to the tower's length, to (texts, D) float16, unit rows."""
        embeddings = np.empty((len(texts), self.dimension), dtype=np.float16)
        by_length = np.argsort([len(text) for text in texts], kind="stable")
        for start in range(0, len(texts), BATCH):
            part = by_length[start : start + BATCH]
            encoded = self._tokenizer.encode_batch([self._written(texts[i]) for i in part])
            ids = torch.tensor([one.ids for one in encoded], device=self._device)
            embedded = self._projection(self._model(input_ids=ids).pooler_output)
            embeddings[part] = functional.normalize(embedded, dim=-1).half().cpu().numpy()
        return embeddings

    def _written(self, text: str) -> str:
        # SigLIP was trained on lower case, which not every SigLIP 2 tokenizer.json says.
        return encodable(text).lower() if self._lower_case else encodable(text)


def _tokenizer(folder: Path) -> Tokenizer:
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise ConfigError(f"regions.folder: {folder} holds no tokenizer.json for its text tower")
    with naming(file):
        tokenizer = Tokenizer.from_file(str(file))
    if not tokenizer.encode("").ids:
        raise ConfigError(f"{file}: marks no end of a text, from which the text tower reads")
    return tokenizer


def _padding(folder: Path, tokenizer: Tokenizer) -> int:
    file = folder / "tokenizer_config.json"
    if not file.is_file():
        raise ConfigError(f"regions.folder: {folder} holds no tokenizer_config.json")
    with naming(file):
        token = json.loads(file.read_text(encoding="utf-8")).get("pad_token")
        name = token["content"] if isinstance(token, dict) else token
    number = None if name is None else tokenizer.token_to_id(name)
    if number is None:
        raise ConfigError(f"{file}: pad_token {name!r} is not in tokenizer.json")
    return number
