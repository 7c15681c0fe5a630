"""Read an uploaded audio file: any format, rate and channels become 48 kHz stereo.

Source: spec dit.md 2.8.
"""

import io
import math
from dataclasses import dataclass

import numpy as np
import soundfile
import soxr

from common.audio_file import MAGIC_BYTES, check_header, check_magic, unreadable
from common.errors import invalid
from common.music import CHANNELS, SAMPLE_RATE_HZ
from dit_service.engine import Waveform
from dit_service.finish import blocks

GUESSED_S = 0.1
"""An MP3 without a count of its frames has a length that is guessed from its size: this far off."""
SILENCE = 1e-6
"""Files whose samples are all closer to 0 hold nothing to work on."""


@dataclass(frozen=True, slots=True)
class AudioFile:
    """Readable audio."""

    waveform: Waveform
    """At 48 kHz, stereo, within [-1, 1]."""
    duration_s: float
    """As long as the file was."""


class GatheredFile(io.BytesIO):
    """A broken file makes libsndfile seek before its start, which Python would report on the console."""

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return super().seek(offset, whence)
        except ValueError:
            return self.tell()


def read_audio(file: GatheredFile, field: str) -> AudioFile:
    """Decode a whole file; blocking.

    Raises `AceError` (INVALID), naming `field`, if the file cannot be read, is longer than
    `MAX_DURATION_S`, ends before it should, or is silent. Length and rate are judged before
    anything is decoded.
    """
    check_magic(field, file.read(MAGIC_BYTES))
    file.seek(0)
    try:
        with soundfile.SoundFile(file) as sound:
            check_header(field, sound)
            waveform = _decoded(sound, field)
    except soundfile.LibsndfileError as error:
        raise unreadable(field, error.error_string) from None
    peak = max((float(np.abs(block).max()) for block in blocks(waveform)), default=0.0)
    if not math.isfinite(peak):
        raise unreadable(field, "it has samples that are not finite")
    if peak < SILENCE:
        raise invalid(field, "must hold audible sound", "silence", "AUDIO_SILENT")
    return AudioFile(np.clip(waveform, -1.0, 1.0, out=waveform), len(waveform) / SAMPLE_RATE_HZ)


def _decoded(file: soundfile.SoundFile, field: str) -> Waveform:
    """Second by second, so that a file of many channels needs no more memory than its music."""
    stream = soxr.ResampleStream(file.samplerate, SAMPLE_RATE_HZ, CHANNELS, dtype="float32")
    waveform = np.empty((math.ceil(file.frames * SAMPLE_RATE_HZ / file.samplerate), CHANNELS), np.float32)
    at, left, ended = 0, file.frames, file.frames == 0  # what the header promises, and no more
    while not ended:
        block = file.read(min(left, file.samplerate), dtype="float32", always_2d=True)
        left -= len(block)
        ended = left == 0 or not len(block)
        resampled = stream.resample_chunk(_stereo(block), last=ended)[: len(waveform) - at]
        waveform[at : at + len(resampled)] = resampled
        at += len(resampled)
    if left > GUESSED_S * file.samplerate:
        told = f"it ends {left / file.samplerate:.3f} s before the end that it tells"
        raise unreadable(field, told)
    return waveform[:at]


def _stereo(block: Waveform) -> Waveform:
    """Mono goes to both sides; of more than two channels the first two count."""
    sides = block[:, :CHANNELS] if block.shape[1] >= CHANNELS else np.repeat(block, CHANNELS, axis=1)
    return np.ascontiguousarray(sides)
