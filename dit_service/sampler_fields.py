"""Check what a request wants of each step of its diffusion, beside the schedule and guidance."""

from typing import Any

from acestep.music.v1 import music_pb2
from common.fields import FieldChecker
from dit_service.engine import (
    CorrectionMode,
    Diffusion,
    InferMethod,
    Retake,
    SamplerMode,
    WaveletCorrection,
)

SAMPLER_MODES = {
    music_pb2.SAMPLER_MODE_UNSPECIFIED: SamplerMode.EULER,
    music_pb2.SAMPLER_MODE_EULER: SamplerMode.EULER,
    music_pb2.SAMPLER_MODE_HEUN: SamplerMode.HEUN,
}
CORRECTION_MODES = {
    music_pb2.DCW_MODE_UNSPECIFIED: CorrectionMode.DOUBLE,
    music_pb2.DCW_MODE_LOW: CorrectionMode.LOW,
    music_pb2.DCW_MODE_HIGH: CorrectionMode.HIGH,
    music_pb2.DCW_MODE_DOUBLE: CorrectionMode.DOUBLE,
    music_pb2.DCW_MODE_PIX: CorrectionMode.PIX,
}
CORRECTION_FIELDS = ("dcw_mode", "dcw_scaler", "dcw_high_scaler")
MAX_NORM_THRESHOLD = 10


def sampler(
    check: FieldChecker, field: str, message: music_pb2.DiffusionParams, method: InferMethod
) -> dict[str, Any]:
    """Those fields of `Diffusion` that say how a step is made."""
    mode = SAMPLER_MODES.get(message.sampler_mode)
    if mode is None:
        check.refuse(f"{field}.sampler_mode", "must be a known SamplerMode", message.sampler_mode)
    if mode is SamplerMode.HEUN and method is InferMethod.SDE:
        check.refuse(
            f"{field}.sampler_mode", "must be Euler's: SDE has no steps by Heun", "SAMPLER_MODE_HEUN"
        )
    threshold, kept = message.velocity_norm_threshold, message.velocity_ema_factor
    return {
        "sampler_mode": mode or SamplerMode.EULER,
        "velocity_norm_threshold": check.within(
            f"{field}.velocity_norm_threshold", threshold, 0, MAX_NORM_THRESHOLD
        ),
        "velocity_ema_factor": check.within(f"{field}.velocity_ema_factor", kept, 0, 1),
        "correction": _correction(check, field, message),
        "retake": _retake(check, field, message),
    }


def told(used: Diffusion) -> music_pb2.DiffusionParams:
    """The parameters in use, as a request for them would have them."""
    message = music_pb2.DiffusionParams(
        sampler_mode=_named(SAMPLER_MODES, used.sampler_mode),
        velocity_norm_threshold=used.velocity_norm_threshold,
        velocity_ema_factor=used.velocity_ema_factor,
        dcw_enabled=used.correction is not None,
    )
    if (correction := used.correction) is not None:
        message.dcw_mode = _named(CORRECTION_MODES, correction.mode)
        message.dcw_scaler = correction.scaler
        if correction.mode is CorrectionMode.DOUBLE:
            message.dcw_high_scaler = correction.high_scaler
    if used.retake is not None:
        message.retake_seed, message.retake_variance = used.retake.seed, used.retake.variance
    return message


def _named(names: dict[Any, Any], value: object) -> Any:
    """The number of `value` that is not the unspecified one, which stands first."""
    return [number for number, known in names.items() if known is value][-1]


def _correction(
    check: FieldChecker, field: str, message: music_pb2.DiffusionParams
) -> WaveletCorrection | None:
    if not message.dcw_enabled:
        for name in CORRECTION_FIELDS:
            if message.HasField(name):
                check.refuse(
                    f"{field}.{name}", "must be absent without dcw_enabled", getattr(message, name)
                )
        return None
    if message.dcw_mode not in CORRECTION_MODES:
        check.refuse(f"{field}.dcw_mode", "must be a known DcwMode", message.dcw_mode)
        return None
    mode = CORRECTION_MODES[message.dcw_mode]
    if message.HasField("dcw_high_scaler") and mode is not CorrectionMode.DOUBLE:
        rule = "must be absent: it is for DCW_MODE_DOUBLE"
        check.refuse(f"{field}.dcw_high_scaler", rule, message.dcw_high_scaler)
    scales = {
        name: check.within(f"{field}.dcw_{name}", getattr(message, f"dcw_{name}"), 0, 1)
        for name in ("scaler", "high_scaler")
        if message.HasField(f"dcw_{name}")
    }
    return WaveletCorrection(mode, **scales)


def _retake(check: FieldChecker, field: str, message: music_pb2.DiffusionParams) -> Retake | None:
    variance = check.within(f"{field}.retake_variance", message.retake_variance, 0, 1)
    given = message.HasField("retake_seed")
    if given == (variance != 0):
        return Retake(check.seed(f"{field}.retake_seed", message.retake_seed), variance) if given else None
    if given:
        rule = "must be absent without a retake_variance above 0"
        check.refuse(f"{field}.retake_seed", rule, message.retake_seed)
    else:
        check.refuse(f"{field}.retake_seed", "must be given with a retake_variance", "none")
    return None
