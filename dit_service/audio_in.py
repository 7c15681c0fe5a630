"""Read an uploaded audio file: any format, rate and channels become 48 kHz stereo.

Source: spec dit.md 2.8.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import soundfile
import soxr

from common.audio_file import MAGIC_BYTES, check_header, check_magic, unreadable
from common.errors import invalid
from common.music import CHANNELS, SAMPLE_RATE_HZ
from dit_service.engine import Waveform

SILENCE = 1e-6
"""Files whose samples are all closer to 0 hold nothing to work on."""


@dataclass(frozen=True, slots=True)
class AudioFile:
    """Readable audio."""

    waveform: Waveform
    """At 48 kHz, stereo, within [-1, 1]."""
    duration_s: float
    """As long as the file was."""


def read_audio(data: bytes, field: str) -> AudioFile:
    """Decode a whole file; blocking.

    Raises `AceError` (INVALID), naming `field`, if the file cannot be read, is longer than
    `MAX_DURATION_S`, or is silent. Length and rate are judged before anything is decoded.
    """
    check_magic(field, data[:MAGIC_BYTES])
    try:
        with soundfile.SoundFile(_Bytes(data)) as file:
            check_header(field, file)
            duration_s = file.frames / file.samplerate
            waveform = np.concatenate(list(_resampled(file)))
    except soundfile.LibsndfileError as error:
        raise unreadable(field, error.error_string) from None
    if not np.isfinite(waveform).all():
        raise unreadable(field, "it has samples that are not finite")
    if not len(waveform) or np.abs(waveform).max() < SILENCE:
        raise invalid(field, "must hold audible sound", "silence", "AUDIO_SILENT")
    return AudioFile(np.clip(waveform, -1.0, 1.0, out=waveform), duration_s)


def _resampled(file: soundfile.SoundFile) -> Iterator[Waveform]:
    """Second by second, so that a file of many channels needs no more memory than its music."""
    stream = soxr.ResampleStream(file.samplerate, SAMPLE_RATE_HZ, CHANNELS, dtype="float32")
    left = file.frames  # what the header promises, and no more
    while left > 0:
        block = file.read(min(left, file.samplerate), dtype="float32", always_2d=True)
        left = left - len(block) if len(block) else 0
        yield stream.resample_chunk(_stereo(block), last=left == 0)


def _stereo(block: Waveform) -> Waveform:
    """Mono goes to both sides; of more than two channels the first two count."""
    sides = block[:, :CHANNELS] if block.shape[1] >= CHANNELS else np.repeat(block, CHANNELS, axis=1)
    return np.ascontiguousarray(sides)


class _Bytes(io.BytesIO):
    """A broken file makes libsndfile seek before its start, which Python would report on the console."""

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return super().seek(offset, whence)
        except ValueError:
            return self.tell()
