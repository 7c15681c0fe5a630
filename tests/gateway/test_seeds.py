"""Seeds are resolved once; a song can be asked for again by what was reported."""

from itertools import count

from acestep.gateway.v1 import music_service_pb2 as pb
from gateway.seeds import SongSeeds, resolve


def test_given_seeds_are_used_by_both_stages() -> None:
    assert resolve(pb.BatchParams(batch_size=2, seeds=[5, 6])) == (SongSeeds(5, 5), SongSeeds(6, 6))


def test_a_stages_own_seed_overrides_the_shared_one() -> None:
    batch = pb.BatchParams(batch_size=2, seeds=[5, 6], lm_seeds=[1], dit_seeds=[2, 3])

    assert resolve(batch) == (SongSeeds(1, 2), SongSeeds(6, 3))


def test_missing_seeds_are_drawn_one_for_both_stages() -> None:
    draws = count(100)

    resolved = resolve(pb.BatchParams(batch_size=3, seeds=[5]), lambda: next(draws))

    assert resolved == (SongSeeds(5, 5), SongSeeds(100, 100), SongSeeds(101, 101))


def test_random_seeds_ignore_the_given_ones() -> None:
    batch = pb.BatchParams(batch_size=1, seeds=[5], lm_seeds=[6], dit_seeds=[7], use_random_seed=True)

    assert resolve(batch, lambda: 42) == (SongSeeds(42, 42),)


def test_zero_is_a_seed() -> None:
    assert resolve(pb.BatchParams(batch_size=1, seeds=[0])) == (SongSeeds(0, 0),)
