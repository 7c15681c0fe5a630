"""Give a repaint the samples of its source where nothing was made anew.

Source: spec dit.md 3.7.
"""

import numpy as np

from common.music import SAMPLE_RATE_HZ
from dit_service.canvas import SAMPLES_PER_FRAME, soft_mask
from dit_service.engine import RenderJob, SourceSound, Waveform
from dit_service.finish import BLOCK_SAMPLES, blocks, prevent_clipping


def splice(waveform: Waveform, job: RenderJob) -> None:
    """Give `waveform` `[samples, 2]`, decoded from `job`, the source's samples outside the regions.

    Nothing is done for a job that does not splice. Samples that are neither in a region nor in
    a ramp beside one become the source's, bit by bit.
    """
    if _kept_sound(job):
        prevent_clipping(waveform)  # what is normalised later is the source too
        for count, block in enumerate(blocks(waveform)):
            splice_piece(block, count * BLOCK_SAMPLES, job)


def splice_piece(piece: Waveform, first_sample: int, job: RenderJob) -> None:
    """The same for a part of the song, which begins at `first_sample`, at the level that it has."""
    kept = _kept_sound(job)
    if kept is None or job.keeping is None:
        return
    canvas, window = job.canvas, slice(first_sample, first_sample + len(piece))
    source = kept.on(canvas)[window]
    ramp = round(job.keeping.sound_fade_s * SAMPLE_RATE_HZ)
    length = canvas.frame_count * SAMPLES_PER_FRAME
    weight = soft_mask(length, canvas.sample_spans(), ramp, window)[:, None]
    fading = np.flatnonzero((weight > 0) & (weight < 1))
    faded = weight[fading] * piece[fading] + (1 - weight[fading]) * source[fading]
    np.copyto(piece, source, where=weight == 0)
    piece[fading] = faded


def _kept_sound(job: RenderJob) -> SourceSound | None:
    """The source, if the job keeps its samples."""
    if job.keeping is not None and job.keeping.splices and isinstance(job.source, SourceSound):
        return job.source
    return None
