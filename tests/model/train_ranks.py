"""Trains on a precomputed folder as one of the ranks that `torchrun` starts; started by tests.

Arguments: the data set, and the folder for the run and for `rank0.pt`, `rank1.pt`: what each rank
ends with. `rank0.threads` names the threads that still run after it.
"""

import sys
from pathlib import Path

import torch

from model.dataset import read_split
from model.knowledge import learn_words
from model.ranks import ranks
from model.run import training_data, validation_split
from model.train import Trainer
from tests.model.conftest import ignore, quiet
from tests.model.samples import WITHOUT_CHANCE


def main(data: Path, out: Path) -> None:
    config, split = WITHOUT_CHANCE, read_split(data, "train")
    knowledge = learn_words(config, split)
    with ranks("cpu") as joined:
        joined.wait()
        trainer = Trainer(
            config,
            knowledge,
            training_data(config, knowledge, split, out, 1, quiet),
            training_data(config, knowledge, validation_split(data), out, 1, quiet),
            out / "run",
            joined,
        )
        trainer.run(ignore)
        torch.save(trainer.network.state_dict(), out / f"rank{joined.rank}.pt")
    threads = [task.joinpath("comm").read_text() for task in Path("/proc/self/task").iterdir()]
    (out / f"rank{joined.rank}.threads").write_text("".join(threads))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
