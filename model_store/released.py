"""The released ACE-Step 1.5 checkpoints: where each one lies on the hub, and at which revision we take it.

Layout: spec dit.md 1.3 and lm.md 1.2. The main repository holds four folders, every other
checkpoint is a repository of its own with its files at the root.

The revisions were not looked up on the hub. They are the ones that independent public projects
pin and had downloaded by autumn 2026, several of them with the same file sizes and digests;
`acestep-v15-turbo-shift1`, `-shift3` and `-continuous` rest on one such project. A wrong one
cannot go unnoticed: the hub refuses a revision it does not have, and every file is compared with
the digest that the hub gives for the revision. Sizes were collected the same way and are
rounded; they are shown before a pull, nothing depends on them.
"""

from dataclasses import dataclass
from enum import Enum

MAIN_REPOSITORY = "ACE-Step/Ace-Step1.5"
MAIN_REVISION = "19671f406d603126926c1b7e2adc169acbcade22"


class Kind(Enum):
    """What a checkpoint is for."""

    LM = "lm"
    DIT = "dit"
    VAE = "vae"
    TEXT_ENCODER = "text-encoder"


@dataclass(frozen=True, slots=True)
class Released:
    """One checkpoint. Its name is also the name of its folder in the models folder."""

    name: str
    kind: Kind
    repository: str
    revision: str
    folder: str
    """Where its files lie in the repository; empty means at the root."""
    size_gb: float


def _in_main(name: str, kind: Kind, size_gb: float) -> Released:
    return Released(name, kind, MAIN_REPOSITORY, MAIN_REVISION, name, size_gb)


def _own(name: str, kind: Kind, revision: str, size_gb: float) -> Released:
    return Released(name, kind, f"ACE-Step/{name}", revision, "", size_gb)


RELEASED = {
    checkpoint.name: checkpoint
    for checkpoint in (
        _in_main("acestep-v15-turbo", Kind.DIT, 4.8),
        _in_main("vae", Kind.VAE, 0.34),
        _in_main("Qwen3-Embedding-0.6B", Kind.TEXT_ENCODER, 1.2),
        _in_main("acestep-5Hz-lm-1.7B", Kind.LM, 3.8),
        _own("acestep-5Hz-lm-0.6B", Kind.LM, "148d8ea0225bdab342ee1ae3a354275ccd60ca80", 1.4),
        _own("acestep-5Hz-lm-4B", Kind.LM, "0a3ec94b557aea7d508da38b31cfe7341f6ff737", 8.4),
        _own("acestep-v15-base", Kind.DIT, "e432212fec32b8965a14ffa57ae653438d6abd14", 4.8),
        _own("acestep-v15-sft", Kind.DIT, "c410d249e71ea9385a7b586865e65b1473e1098d", 4.8),
        _own("acestep-v15-turbo-shift1", Kind.DIT, "5b86586cc1faecd5214281b05440c8903b6da20f", 4.8),
        _own("acestep-v15-turbo-shift3", Kind.DIT, "625a282f7c8d882c930a5e500be4c82800f84fb4", 4.8),
        _own("acestep-v15-turbo-continuous", Kind.DIT, "f8e893768347fd42f5988e07d1d80675fc3e5718", 4.8),
        _own("acestep-v15-xl-base", Kind.DIT, "220c1166efbdd9583eafcb12eb160594bbfcb241", 20.0),
        _own("acestep-v15-xl-sft", Kind.DIT, "d06de46b4622f781cf07f4a013a67d591ca52819", 20.0),
        _own("acestep-v15-xl-turbo", Kind.DIT, "d4a0b288b83ebb7e25a8c0b32c573c22e134e8ee", 20.0),
    )
}

_SHARED = ("vae", "Qwen3-Embedding-0.6B")
SETS = {
    "turbo": ("acestep-v15-turbo", *_SHARED, "acestep-5Hz-lm-1.7B"),
    "turbo-small": ("acestep-v15-turbo", *_SHARED, "acestep-5Hz-lm-0.6B"),
    "base": ("acestep-v15-base", *_SHARED, "acestep-5Hz-lm-1.7B"),
    "sft": ("acestep-v15-sft", *_SHARED, "acestep-5Hz-lm-1.7B"),
    "xl-turbo": ("acestep-v15-xl-turbo", *_SHARED, "acestep-5Hz-lm-4B"),
}
"""Names for what a working system needs: one DiT, what all DiTs share, and a language model."""


def select(names: list[str]) -> list[Released]:
    """The checkpoints that `names`, sets or single ones, stand for, each once.

    Raises `KeyError` with a name that is neither.
    """
    chosen = dict[str, Released]()
    for name in names:
        for member in SETS.get(name, (name,)):
            chosen[member] = RELEASED[member]
    return list(chosen.values())
