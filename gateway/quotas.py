"""What each tenant has used lately, against its limits."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from acestep.gateway.v1 import music_service_pb2 as pb
from common.errors import AceError, Kind, Quota
from gateway.metrics import AUDIO_SECONDS, QUOTA_REFUSALS
from gateway.tenants import Limits

Clock = Callable[[], float]
COME_BACK_S = 5.0
"""When to come again if it is not known when others will have ended."""


class Bucket:
    """Fills steadily, to `size` in `period_s`. It may be overdrawn by what proves larger than announced."""

    def __init__(self, period_s: float, clock: Clock) -> None:
        self._period_s = period_s
        self._clock = clock
        self._used = 0.0
        self._at = clock()

    def wait_s(self, amount: float, size: float) -> float:
        """Seconds until `amount` can be taken; 0 if it can be now."""
        now = self._clock()
        self._used = max(0.0, self._used - (now - self._at) * size / self._period_s)
        self._at = now
        return max(0.0, (self._used + amount - size) * self._period_s / size)

    def take(self, amount: float) -> None:
        """A negative amount gives back."""
        self._used += amount


class Account:
    """What one tenant uses. `limits` may change at any time."""

    def __init__(self, tenant: str, clock: Clock = time.monotonic) -> None:
        self.limits = Limits()
        self._tenant = tenant
        self._running_calls = 0
        self._running_songs = 0
        self._calls = Bucket(60.0, clock)
        self._audio = Bucket(3600.0, clock)

    @contextmanager
    def call(self) -> Iterator[None]:
        """Raises `AceError` (OVERLOADED)."""
        limits = self.limits
        if limits.max_calls is not None and self._running_calls >= limits.max_calls:
            raise self._exceeded("max_calls", f"at most {limits.max_calls} calls at a time", COME_BACK_S)
        if (rate := limits.calls_per_minute) is not None:
            if wait_s := self._calls.wait_s(1, rate):
                raise self._exceeded("calls_per_minute", f"at most {rate} calls a minute", wait_s)
            self._calls.take(1)
        self._running_calls += 1
        try:
            yield
        finally:
            self._running_calls -= 1

    @contextmanager
    def songs(self, count: int, expected_s: float) -> Iterator["Charge"]:
        """Take on `count` songs of about `expected_s` seconds each. Raises `AceError` (OVERLOADED)."""
        limits = self.limits
        if limits.max_songs is not None and self._running_songs + count > limits.max_songs:
            ever = count <= limits.max_songs
            text = f"at most {limits.max_songs} songs at a time"
            raise self._exceeded("max_songs", text, COME_BACK_S if ever else None)
        total_s = count * expected_s
        if (most_s := limits.audio_seconds_per_hour) is not None and (
            wait_s := self._audio.wait_s(total_s, most_s)
        ):
            text = f"at most {most_s} seconds of songs an hour"
            raise self._exceeded("audio_seconds_per_hour", text, wait_s if total_s <= most_s else None)
        charge = Charge(self._tenant, self._audio, count, expected_s)
        self._running_songs += count
        try:
            yield charge
        except AceError:
            charge.refused()
            raise
        finally:
            self._running_songs -= count

    def _exceeded(self, quota: str, text: str, retry_after_s: float | None) -> AceError:
        QUOTA_REFUSALS.labels(self._tenant, quota).inc()
        return AceError(
            Kind.OVERLOADED,
            "QUOTA_EXCEEDED",
            f"the quota of {self._tenant} is {text}"
            + ("" if retry_after_s is not None else "; this request alone is above it"),
            retry_after_s=None if retry_after_s is None else math.ceil(retry_after_s * 10) / 10,
            quota=Quota(f"tenant:{self._tenant}", text),
            limit=quota,
        )


class Charge:
    """What songs were expected to last, corrected as they end.

    A song that failed costs nothing. One that its caller gave up stays charged: it took the
    hardware just the same.
    """

    def __init__(self, tenant: str, audio: Bucket, song_count: int, expected_s: float) -> None:
        self._tenant = tenant
        self._audio = audio
        self._open_songs = song_count
        self._expected_s = expected_s
        audio.take(song_count * expected_s)

    def refused(self) -> None:
        """No song that has not ended will be made: a stage refused the request, or is gone."""
        self._audio.take(-self._open_songs * self._expected_s)
        self._open_songs = 0

    def ended(self, song: pb.Song) -> None:
        self._open_songs -= 1
        made_s = 0.0 if song.HasField("error") else song.actual_duration_seconds
        self._audio.take(made_s - self._expected_s)
        AUDIO_SECONDS.labels(self._tenant).inc(made_s)
