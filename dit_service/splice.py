"""Give a repaint the samples of its source where nothing was made anew.

Source: spec dit.md 3.7.
"""

import numpy as np

from common.music import SAMPLE_RATE_HZ
from dit_service.canvas import soft_mask
from dit_service.engine import RenderJob, SourceSound, Waveform
from dit_service.finish import prevent_clipping


def splice(waveform: Waveform, job: RenderJob) -> None:
    """Give `waveform` `[samples, 2]`, decoded from `job`, the source's samples outside the regions.

    Nothing is done for a job that does not splice. Samples that are neither in a region nor in
    a ramp beside one become the source's, bit by bit.
    """
    if job.keeping is None or not job.keeping.splices or not isinstance(job.source, SourceSound):
        return
    prevent_clipping(waveform)  # what is normalised later is the source too
    source = job.source.on(job.canvas)[: len(waveform)]
    ramp = round(job.keeping.sound_fade_s * SAMPLE_RATE_HZ)
    weight = soft_mask(len(waveform), job.canvas.sample_spans(), ramp)[:, None]
    fading = np.flatnonzero((weight > 0) & (weight < 1))
    faded = weight[fading] * waveform[fading] + (1 - weight[fading]) * source[fading]
    np.copyto(waveform, source, where=weight == 0)
    waveform[fading] = faded
