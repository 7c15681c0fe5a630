"""How much of a request is done, as one number that never falls."""

from collections import defaultdict

from acestep.gateway.v1 import music_service_pb2 as pb

# Shares of a song's time. On a GPU the language model takes most of it.
PLAN_SHARE = 0.05
SONG_SHARES = {
    pb.PHASE_CODES: 0.60,
    pb.PHASE_CONDITIONING: 0.02,
    pb.PHASE_DIFFUSION: 0.20,
    pb.PHASE_DECODING: 0.10,
    pb.PHASE_ENCODING: 0.03,
}


class Fraction:
    """Adds up the phases of all songs of a request."""

    def __init__(self, song_count: int) -> None:
        self._song_count = song_count
        self._plan = 0.0
        self._songs: defaultdict[int, dict[pb.Phase, float]] = defaultdict(dict)
        self._highest = 0.0

    def reached(self, phase: pb.Phase, song: int | None, done: float) -> float:
        """Note that share `done` of `phase` is complete; returns the share of the whole request.

        Phases come in order: entering one completes those before it.
        """
        if song is None:
            self._plan = done
        else:
            self._plan = 1.0
            for earlier in SONG_SHARES:
                if earlier < phase:
                    self._songs[song][earlier] = 1.0
            self._songs[song][phase] = done
        songs = sum(
            SONG_SHARES[step] * share for steps in self._songs.values() for step, share in steps.items()
        )
        self._highest = max(self._highest, PLAN_SHARE * self._plan + songs / self._song_count)
        return self._highest
