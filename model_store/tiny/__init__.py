"""A tiny model family: random weights in the released layout, for tests and for trying the system.

It is loaded by the same code as the released checkpoints; only dimensions differ.
"""

import errno
from collections.abc import Callable
from functools import partial
from pathlib import Path

from model_store.tiny import dit, language_model, text_encoder, vae

LANGUAGE_MODEL = "acestep-5Hz-lm-tiny"
BUILDERS: dict[str, Callable[[Path, int], None]] = {
    LANGUAGE_MODEL: language_model.build,
    "acestep-v15-turbo": partial(dit.build, version="turbo"),
    "acestep-v15-base": partial(dit.build, version="base"),
    "vae": vae.build,
    "Qwen3-Embedding-0.6B": text_encoder.build,
}
MODEL_CARD = """\
# Tiny ACE-Step family

The weights in this folder are random numbers. Whatever a model here produces is noise: the words
mean nothing and the sound is not music. They exist to test acestep-serve, and to try the whole system
on any machine within seconds. They have the file layout of the released ACE-Step 1.5 checkpoints, with
small dimensions, and hold nothing of those checkpoints.

Made by `acestep-serve models build-tiny`, seed {seed}. The same seed gives the same bytes, with the same
version of torch and the same kind of processor.
"""


def build(folder: Path, seed: int = 0) -> None:
    """Write the family into `folder`, which is made if needed.

    Raises `FileExistsError`, before anything is written, if one of the checkpoints is already there.
    """
    for name in BUILDERS:
        if (folder / name).exists():
            raise FileExistsError(errno.EEXIST, "is there already", str(folder / name))
    for name, build_checkpoint in BUILDERS.items():
        build_checkpoint(folder / name, seed)
    (folder / "MODEL_CARD.md").write_text(MODEL_CARD.format(seed=seed))
