from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Task(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TASK_UNSPECIFIED: _ClassVar[Task]
    TASK_TEXT2MUSIC: _ClassVar[Task]
    TASK_COVER: _ClassVar[Task]
    TASK_REPAINT: _ClassVar[Task]
    TASK_LEGO: _ClassVar[Task]
    TASK_EXTRACT: _ClassVar[Task]
    TASK_COMPLETE: _ClassVar[Task]

class Track(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TRACK_UNSPECIFIED: _ClassVar[Track]
    TRACK_VOCALS: _ClassVar[Track]
    TRACK_BACKING_VOCALS: _ClassVar[Track]
    TRACK_DRUMS: _ClassVar[Track]
    TRACK_BASS: _ClassVar[Track]
    TRACK_GUITAR: _ClassVar[Track]
    TRACK_KEYBOARD: _ClassVar[Track]
    TRACK_PERCUSSION: _ClassVar[Track]
    TRACK_STRINGS: _ClassVar[Track]
    TRACK_SYNTH: _ClassVar[Track]
    TRACK_FX: _ClassVar[Track]
    TRACK_BRASS: _ClassVar[Track]
    TRACK_WOODWINDS: _ClassVar[Track]

class AudioFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AUDIO_FORMAT_UNSPECIFIED: _ClassVar[AudioFormat]
    AUDIO_FORMAT_FLAC: _ClassVar[AudioFormat]
    AUDIO_FORMAT_WAV: _ClassVar[AudioFormat]
    AUDIO_FORMAT_MP3: _ClassVar[AudioFormat]
    AUDIO_FORMAT_WAV32: _ClassVar[AudioFormat]

class InferMethod(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INFER_METHOD_UNSPECIFIED: _ClassVar[InferMethod]
    INFER_METHOD_ODE: _ClassVar[InferMethod]
    INFER_METHOD_SDE: _ClassVar[InferMethod]

class SamplerMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SAMPLER_MODE_UNSPECIFIED: _ClassVar[SamplerMode]
    SAMPLER_MODE_EULER: _ClassVar[SamplerMode]
    SAMPLER_MODE_HEUN: _ClassVar[SamplerMode]

class DcwMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DCW_MODE_UNSPECIFIED: _ClassVar[DcwMode]
    DCW_MODE_LOW: _ClassVar[DcwMode]
    DCW_MODE_HIGH: _ClassVar[DcwMode]
    DCW_MODE_DOUBLE: _ClassVar[DcwMode]
    DCW_MODE_PIX: _ClassVar[DcwMode]

class RepaintMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REPAINT_MODE_UNSPECIFIED: _ClassVar[RepaintMode]
    REPAINT_MODE_CONSERVATIVE: _ClassVar[RepaintMode]
    REPAINT_MODE_BALANCED: _ClassVar[RepaintMode]
    REPAINT_MODE_AGGRESSIVE: _ClassVar[RepaintMode]
TASK_UNSPECIFIED: Task
TASK_TEXT2MUSIC: Task
TASK_COVER: Task
TASK_REPAINT: Task
TASK_LEGO: Task
TASK_EXTRACT: Task
TASK_COMPLETE: Task
TRACK_UNSPECIFIED: Track
TRACK_VOCALS: Track
TRACK_BACKING_VOCALS: Track
TRACK_DRUMS: Track
TRACK_BASS: Track
TRACK_GUITAR: Track
TRACK_KEYBOARD: Track
TRACK_PERCUSSION: Track
TRACK_STRINGS: Track
TRACK_SYNTH: Track
TRACK_FX: Track
TRACK_BRASS: Track
TRACK_WOODWINDS: Track
AUDIO_FORMAT_UNSPECIFIED: AudioFormat
AUDIO_FORMAT_FLAC: AudioFormat
AUDIO_FORMAT_WAV: AudioFormat
AUDIO_FORMAT_MP3: AudioFormat
AUDIO_FORMAT_WAV32: AudioFormat
INFER_METHOD_UNSPECIFIED: InferMethod
INFER_METHOD_ODE: InferMethod
INFER_METHOD_SDE: InferMethod
SAMPLER_MODE_UNSPECIFIED: SamplerMode
SAMPLER_MODE_EULER: SamplerMode
SAMPLER_MODE_HEUN: SamplerMode
DCW_MODE_UNSPECIFIED: DcwMode
DCW_MODE_LOW: DcwMode
DCW_MODE_HIGH: DcwMode
DCW_MODE_DOUBLE: DcwMode
DCW_MODE_PIX: DcwMode
REPAINT_MODE_UNSPECIFIED: RepaintMode
REPAINT_MODE_CONSERVATIVE: RepaintMode
REPAINT_MODE_BALANCED: RepaintMode
REPAINT_MODE_AGGRESSIVE: RepaintMode

class SongMetadata(_message.Message):
    __slots__ = ("bpm", "caption", "duration_seconds", "keyscale", "language", "timesignature", "genres")
    BPM_FIELD_NUMBER: _ClassVar[int]
    CAPTION_FIELD_NUMBER: _ClassVar[int]
    DURATION_SECONDS_FIELD_NUMBER: _ClassVar[int]
    KEYSCALE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    TIMESIGNATURE_FIELD_NUMBER: _ClassVar[int]
    GENRES_FIELD_NUMBER: _ClassVar[int]
    bpm: int
    caption: str
    duration_seconds: float
    keyscale: str
    language: str
    timesignature: str
    genres: str
    def __init__(self, bpm: _Optional[int] = ..., caption: _Optional[str] = ..., duration_seconds: _Optional[float] = ..., keyscale: _Optional[str] = ..., language: _Optional[str] = ..., timesignature: _Optional[str] = ..., genres: _Optional[str] = ...) -> None: ...

class LmSampling(_message.Message):
    __slots__ = ("temperature", "top_k", "top_p", "repetition_penalty", "use_constrained_decoding", "seed", "constrained_decoding_debug")
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    TOP_P_FIELD_NUMBER: _ClassVar[int]
    REPETITION_PENALTY_FIELD_NUMBER: _ClassVar[int]
    USE_CONSTRAINED_DECODING_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    CONSTRAINED_DECODING_DEBUG_FIELD_NUMBER: _ClassVar[int]
    temperature: float
    top_k: int
    top_p: float
    repetition_penalty: float
    use_constrained_decoding: bool
    seed: int
    constrained_decoding_debug: bool
    def __init__(self, temperature: _Optional[float] = ..., top_k: _Optional[int] = ..., top_p: _Optional[float] = ..., repetition_penalty: _Optional[float] = ..., use_constrained_decoding: _Optional[bool] = ..., seed: _Optional[int] = ..., constrained_decoding_debug: _Optional[bool] = ...) -> None: ...

class ChainOfThought(_message.Message):
    __slots__ = ("use_cot_metas", "use_cot_caption", "use_cot_language", "use_cot_lyrics")
    USE_COT_METAS_FIELD_NUMBER: _ClassVar[int]
    USE_COT_CAPTION_FIELD_NUMBER: _ClassVar[int]
    USE_COT_LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    USE_COT_LYRICS_FIELD_NUMBER: _ClassVar[int]
    use_cot_metas: bool
    use_cot_caption: bool
    use_cot_language: bool
    use_cot_lyrics: bool
    def __init__(self, use_cot_metas: _Optional[bool] = ..., use_cot_caption: _Optional[bool] = ..., use_cot_language: _Optional[bool] = ..., use_cot_lyrics: _Optional[bool] = ...) -> None: ...

class DiffusionParams(_message.Message):
    __slots__ = ("inference_steps", "guidance_scale", "use_adg", "cfg_interval_start", "cfg_interval_end", "shift", "infer_method", "timesteps", "sampler_mode", "velocity_norm_threshold", "velocity_ema_factor", "dcw_enabled", "dcw_mode", "dcw_scaler", "dcw_high_scaler", "retake_variance", "retake_seed")
    INFERENCE_STEPS_FIELD_NUMBER: _ClassVar[int]
    GUIDANCE_SCALE_FIELD_NUMBER: _ClassVar[int]
    USE_ADG_FIELD_NUMBER: _ClassVar[int]
    CFG_INTERVAL_START_FIELD_NUMBER: _ClassVar[int]
    CFG_INTERVAL_END_FIELD_NUMBER: _ClassVar[int]
    SHIFT_FIELD_NUMBER: _ClassVar[int]
    INFER_METHOD_FIELD_NUMBER: _ClassVar[int]
    TIMESTEPS_FIELD_NUMBER: _ClassVar[int]
    SAMPLER_MODE_FIELD_NUMBER: _ClassVar[int]
    VELOCITY_NORM_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    VELOCITY_EMA_FACTOR_FIELD_NUMBER: _ClassVar[int]
    DCW_ENABLED_FIELD_NUMBER: _ClassVar[int]
    DCW_MODE_FIELD_NUMBER: _ClassVar[int]
    DCW_SCALER_FIELD_NUMBER: _ClassVar[int]
    DCW_HIGH_SCALER_FIELD_NUMBER: _ClassVar[int]
    RETAKE_VARIANCE_FIELD_NUMBER: _ClassVar[int]
    RETAKE_SEED_FIELD_NUMBER: _ClassVar[int]
    inference_steps: int
    guidance_scale: float
    use_adg: bool
    cfg_interval_start: float
    cfg_interval_end: float
    shift: float
    infer_method: InferMethod
    timesteps: _containers.RepeatedScalarFieldContainer[float]
    sampler_mode: SamplerMode
    velocity_norm_threshold: float
    velocity_ema_factor: float
    dcw_enabled: bool
    dcw_mode: DcwMode
    dcw_scaler: float
    dcw_high_scaler: float
    retake_variance: float
    retake_seed: int
    def __init__(self, inference_steps: _Optional[int] = ..., guidance_scale: _Optional[float] = ..., use_adg: _Optional[bool] = ..., cfg_interval_start: _Optional[float] = ..., cfg_interval_end: _Optional[float] = ..., shift: _Optional[float] = ..., infer_method: _Optional[_Union[InferMethod, str]] = ..., timesteps: _Optional[_Iterable[float]] = ..., sampler_mode: _Optional[_Union[SamplerMode, str]] = ..., velocity_norm_threshold: _Optional[float] = ..., velocity_ema_factor: _Optional[float] = ..., dcw_enabled: _Optional[bool] = ..., dcw_mode: _Optional[_Union[DcwMode, str]] = ..., dcw_scaler: _Optional[float] = ..., dcw_high_scaler: _Optional[float] = ..., retake_variance: _Optional[float] = ..., retake_seed: _Optional[int] = ...) -> None: ...

class Region(_message.Message):
    __slots__ = ("start_seconds", "end_seconds")
    START_SECONDS_FIELD_NUMBER: _ClassVar[int]
    END_SECONDS_FIELD_NUMBER: _ClassVar[int]
    start_seconds: float
    end_seconds: float
    def __init__(self, start_seconds: _Optional[float] = ..., end_seconds: _Optional[float] = ...) -> None: ...

class CoverParams(_message.Message):
    __slots__ = ("audio_cover_strength", "cover_noise_strength")
    AUDIO_COVER_STRENGTH_FIELD_NUMBER: _ClassVar[int]
    COVER_NOISE_STRENGTH_FIELD_NUMBER: _ClassVar[int]
    audio_cover_strength: float
    cover_noise_strength: float
    def __init__(self, audio_cover_strength: _Optional[float] = ..., cover_noise_strength: _Optional[float] = ...) -> None: ...

class RepaintParams(_message.Message):
    __slots__ = ("regions", "mode", "strength")
    REGIONS_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    STRENGTH_FIELD_NUMBER: _ClassVar[int]
    regions: _containers.RepeatedCompositeFieldContainer[Region]
    mode: RepaintMode
    strength: float
    def __init__(self, regions: _Optional[_Iterable[_Union[Region, _Mapping]]] = ..., mode: _Optional[_Union[RepaintMode, str]] = ..., strength: _Optional[float] = ...) -> None: ...

class Latents(_message.Message):
    __slots__ = ("data", "frame_count", "channel_count")
    DATA_FIELD_NUMBER: _ClassVar[int]
    FRAME_COUNT_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_COUNT_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    frame_count: int
    channel_count: int
    def __init__(self, data: _Optional[bytes] = ..., frame_count: _Optional[int] = ..., channel_count: _Optional[int] = ...) -> None: ...

class PcmChunk(_message.Message):
    __slots__ = ("samples", "sample_rate_hertz", "channel_count")
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_RATE_HERTZ_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_COUNT_FIELD_NUMBER: _ClassVar[int]
    samples: bytes
    sample_rate_hertz: int
    channel_count: int
    def __init__(self, samples: _Optional[bytes] = ..., sample_rate_hertz: _Optional[int] = ..., channel_count: _Optional[int] = ...) -> None: ...

class Loudness(_message.Message):
    __slots__ = ("integrated_lufs", "true_peak_dbtp")
    INTEGRATED_LUFS_FIELD_NUMBER: _ClassVar[int]
    TRUE_PEAK_DBTP_FIELD_NUMBER: _ClassVar[int]
    integrated_lufs: float
    true_peak_dbtp: float
    def __init__(self, integrated_lufs: _Optional[float] = ..., true_peak_dbtp: _Optional[float] = ...) -> None: ...

class FileChunk(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...

class ModelVersion(_message.Message):
    __slots__ = ("name", "revision")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    name: str
    revision: str
    def __init__(self, name: _Optional[str] = ..., revision: _Optional[str] = ...) -> None: ...

class QueueStatus(_message.Message):
    __slots__ = ("position", "estimated_wait_seconds")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_WAIT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    position: int
    estimated_wait_seconds: float
    def __init__(self, position: _Optional[int] = ..., estimated_wait_seconds: _Optional[float] = ...) -> None: ...
