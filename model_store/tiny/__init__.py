"""A tiny model family: random weights in the released layout, for tests and for trying the system.

It is loaded by the same code as the released checkpoints; only dimensions differ.
"""

from pathlib import Path

from model_store.tiny import dit, language_model, text_encoder, vae

LANGUAGE_MODEL = "acestep-5Hz-lm-tiny"
MODEL_CARD = """\
# Tiny ACE-Step family

The weights in this folder are random numbers. Whatever a model here produces is noise: the words
mean nothing and the sound is not music. They exist to test acestep-serve, and to try the whole system
on any machine within seconds. They have the file layout of the released ACE-Step 1.5 checkpoints, with
small dimensions, and hold nothing of those checkpoints.

Made by `acestep-serve models build-tiny`, seed {seed}. The same seed gives the same bytes.
"""


def build(folder: Path, seed: int = 0) -> None:
    """Write the family into `folder`, which is made if needed.

    Raises `FileExistsError` if one of the checkpoints is already there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    language_model.build(folder / LANGUAGE_MODEL, seed)
    dit.build(folder / "acestep-v15-turbo", seed, "turbo")
    dit.build(folder / "acestep-v15-base", seed, "base")
    vae.build(folder / "vae", seed)
    text_encoder.build(folder / "Qwen3-Embedding-0.6B", seed)
    (folder / "MODEL_CARD.md").write_text(MODEL_CARD.format(seed=seed))
