"""Which seeds make which song. Resolved once per request, reported, and used by both stages."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from acestep.gateway.v1 import music_service_pb2 as pb

RANDOM_SEED_BITS = 32  # the range that upstream draws from (spec lm.md 4.7)


@dataclass(frozen=True, slots=True)
class SongSeeds:
    """The two seeds that decide a song."""

    lm: int
    dit: int


def _draw() -> int:
    return secrets.randbits(RANDOM_SEED_BITS)


def resolve(batch: pb.BatchParams, draw: Callable[[], int] = _draw) -> tuple[SongSeeds, ...]:
    """One pair for each of `batch.batch_size` songs.

    A song without any seed draws one for both stages, so that sending it back as `seeds`
    gives the song again.
    """

    def given(seeds: Sequence[int], song: int) -> int | None:
        return None if batch.use_random_seed or song >= len(seeds) else seeds[song]

    songs = []
    for song in range(batch.batch_size):
        shared = given(batch.seeds, song)
        lm, dit = given(batch.lm_seeds, song), given(batch.dit_seeds, song)
        if shared is None:
            shared = draw()
        songs.append(SongSeeds(shared if lm is None else lm, shared if dit is None else dit))
    return tuple(songs)
