"""How tokens are drawn: checks and defaults, the same for songs and for text, at every service."""

from acestep.music.v1 import music_pb2
from common.fields import FieldChecker

MIN_CFG_SCALE, MAX_CFG_SCALE = 1.0, 3.0
DEFAULT_CFG_SCALE = 2.0
"""Of models that recommend no other."""
MAX_TEMPERATURE = 2.0
MAX_TOP_K = 1024
MIN_REPETITION_PENALTY, MAX_REPETITION_PENALTY = 0.5, 2.0


def check_sampling(check: FieldChecker, field: str, sampling: music_pb2.LmSampling) -> None:
    """Check what is given of `sampling`, whose path in the request is `field`."""
    if sampling.HasField("temperature"):
        check.within(f"{field}.temperature", sampling.temperature, 0.0, MAX_TEMPERATURE)
    if sampling.HasField("top_k"):
        check.integer(f"{field}.top_k", sampling.top_k, 0, MAX_TOP_K)
    if sampling.HasField("top_p") and not 0.0 < sampling.top_p <= 1.0:  # NaN is not either
        check.refuse(f"{field}.top_p", "must be within (0, 1]", f"{sampling.top_p:g}")
    if sampling.HasField("repetition_penalty"):
        check.within(
            f"{field}.repetition_penalty",
            sampling.repetition_penalty,
            MIN_REPETITION_PENALTY,
            MAX_REPETITION_PENALTY,
        )
    if sampling.HasField("seed"):
        check.seed(f"{field}.seed", sampling.seed)


def with_defaults(sampling: music_pb2.LmSampling, top_p: float) -> music_pb2.LmSampling:
    """A copy with every field set but the seed. Source: spec lm.md appendix A."""
    complete = music_pb2.LmSampling(
        temperature=0.85,
        top_k=0,
        top_p=top_p,
        repetition_penalty=1.0,
        use_constrained_decoding=True,
        constrained_decoding_debug=False,
    )
    complete.MergeFrom(sampling)
    return complete
