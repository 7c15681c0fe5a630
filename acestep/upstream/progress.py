"""Progress as upstream's callbacks know it: a share of 1, and a text.

Source: spec dit.md 5.1. The shares between upstream's landmarks are of real steps.
"""

from collections.abc import Callable
from typing import Any

from acestep.gateway.v1 import music_service_pb2 as pb

Callback = Callable[..., Any]
"""Called as upstream calls it: `progress(0.5, desc="...")`."""

PLANNING = 0.1
SPANS = {
    pb.PHASE_CODES: (0.5, 0.51),
    pb.PHASE_CONDITIONING: (0.51, 0.52),
    pb.PHASE_DIFFUSION: (0.52, 0.79),
    pb.PHASE_DECODING: (0.8, 0.99),
    pb.PHASE_ENCODING: (0.99, 0.99),
}
"""Where each phase of a song begins and ends."""


class Reporter:
    """Turns events into calls of a callback; a share that was reached is never taken back."""

    def __init__(self, callback: Callback | None, song_count: int) -> None:
        self._callback = callback
        self._songs = [0.0] * song_count
        self._last: tuple[float, str] | None = None
        self._texts = {
            pb.PHASE_CODES: f"Phase 2: Generating audio codes for {song_count} items...",
            pb.PHASE_CONDITIONING: "Preparing inputs...",
            pb.PHASE_DIFFUSION: f"Generating music (batch size: {song_count})...",
            pb.PHASE_DECODING: "Decoding audio...",
            pb.PHASE_ENCODING: "Preparing audio data...",
        }

    def show(self, event: pb.GenerateMusicResponse) -> None:
        """Report an event, if it is news."""
        kind = event.WhichOneof("event")
        if kind == "queued":
            self._tell(self._share(), f"Waiting: {event.queued.status.position} ahead...")
        elif kind == "plan_field" or (kind == "progress" and event.progress.phase == pb.PHASE_PLAN):
            self._tell(PLANNING, "Phase 1: Generating CoT metadata (once for all items)...")
        elif kind == "progress" and event.progress.phase in SPANS:
            self._show_song(event.progress)

    def _show_song(self, progress: pb.Progress) -> None:
        begin, end = SPANS[progress.phase]
        if progress.phase == pb.PHASE_CODES and self._share() < begin:  # the first code of all
            self._songs = [begin] * len(self._songs)
            self._tell(begin, self._texts[pb.PHASE_CODES])
        total = progress.total_step_count
        done = min(1.0, progress.step_count / total) if total else 0.0
        song = progress.song_index
        self._songs[song] = max(self._songs[song], begin + (end - begin) * done)
        self._tell(self._share(), self._texts[progress.phase])

    def _share(self) -> float:
        return sum(self._songs) / len(self._songs)

    def _tell(self, share: float, text: str) -> None:
        if self._last is not None:
            share = max(share, self._last[0])
        news = (round(share, 3), text)
        if self._callback is not None and news != self._last:
            self._callback(news[0], desc=text)
        self._last = news
