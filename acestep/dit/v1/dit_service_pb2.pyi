from acestep.music.v1 import music_pb2 as _music_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RenderPhase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RENDER_PHASE_UNSPECIFIED: _ClassVar[RenderPhase]
    RENDER_PHASE_CONDITIONING: _ClassVar[RenderPhase]
    RENDER_PHASE_DIFFUSION: _ClassVar[RenderPhase]
    RENDER_PHASE_DECODING: _ClassVar[RenderPhase]
RENDER_PHASE_UNSPECIFIED: RenderPhase
RENDER_PHASE_CONDITIONING: RenderPhase
RENDER_PHASE_DIFFUSION: RenderPhase
RENDER_PHASE_DECODING: RenderPhase

class RenderJob(_message.Message):
    __slots__ = ("model", "task", "instruction", "metadata", "lyrics", "audio_codes", "seed", "diffusion", "cover", "repaint", "tracks", "source_latents", "has_source_audio", "has_reference_audio", "finish", "return_latents", "validate_only", "stream_audio")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    INSTRUCTION_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    LYRICS_FIELD_NUMBER: _ClassVar[int]
    AUDIO_CODES_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    DIFFUSION_FIELD_NUMBER: _ClassVar[int]
    COVER_FIELD_NUMBER: _ClassVar[int]
    REPAINT_FIELD_NUMBER: _ClassVar[int]
    TRACKS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_LATENTS_FIELD_NUMBER: _ClassVar[int]
    HAS_SOURCE_AUDIO_FIELD_NUMBER: _ClassVar[int]
    HAS_REFERENCE_AUDIO_FIELD_NUMBER: _ClassVar[int]
    FINISH_FIELD_NUMBER: _ClassVar[int]
    RETURN_LATENTS_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    STREAM_AUDIO_FIELD_NUMBER: _ClassVar[int]
    model: str
    task: _music_pb2.Task
    instruction: str
    metadata: _music_pb2.SongMetadata
    lyrics: str
    audio_codes: _containers.RepeatedScalarFieldContainer[int]
    seed: int
    diffusion: _music_pb2.DiffusionParams
    cover: _music_pb2.CoverParams
    repaint: _music_pb2.RepaintParams
    tracks: _containers.RepeatedScalarFieldContainer[_music_pb2.Track]
    source_latents: _music_pb2.Latents
    has_source_audio: bool
    has_reference_audio: bool
    finish: Finish
    return_latents: bool
    validate_only: bool
    stream_audio: bool
    def __init__(self, model: _Optional[str] = ..., task: _Optional[_Union[_music_pb2.Task, str]] = ..., instruction: _Optional[str] = ..., metadata: _Optional[_Union[_music_pb2.SongMetadata, _Mapping]] = ..., lyrics: _Optional[str] = ..., audio_codes: _Optional[_Iterable[int]] = ..., seed: _Optional[int] = ..., diffusion: _Optional[_Union[_music_pb2.DiffusionParams, _Mapping]] = ..., cover: _Optional[_Union[_music_pb2.CoverParams, _Mapping]] = ..., repaint: _Optional[_Union[_music_pb2.RepaintParams, _Mapping]] = ..., tracks: _Optional[_Iterable[_Union[_music_pb2.Track, str]]] = ..., source_latents: _Optional[_Union[_music_pb2.Latents, _Mapping]] = ..., has_source_audio: _Optional[bool] = ..., has_reference_audio: _Optional[bool] = ..., finish: _Optional[_Union[Finish, _Mapping]] = ..., return_latents: _Optional[bool] = ..., validate_only: _Optional[bool] = ..., stream_audio: _Optional[bool] = ...) -> None: ...

class Finish(_message.Message):
    __slots__ = ("enable_normalization", "normalization_db", "fade_in_seconds", "fade_out_seconds")
    ENABLE_NORMALIZATION_FIELD_NUMBER: _ClassVar[int]
    NORMALIZATION_DB_FIELD_NUMBER: _ClassVar[int]
    FADE_IN_SECONDS_FIELD_NUMBER: _ClassVar[int]
    FADE_OUT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    enable_normalization: bool
    normalization_db: float
    fade_in_seconds: float
    fade_out_seconds: float
    def __init__(self, enable_normalization: _Optional[bool] = ..., normalization_db: _Optional[float] = ..., fade_in_seconds: _Optional[float] = ..., fade_out_seconds: _Optional[float] = ...) -> None: ...

class RenderRequest(_message.Message):
    __slots__ = ("job", "source_audio", "reference_audio")
    JOB_FIELD_NUMBER: _ClassVar[int]
    SOURCE_AUDIO_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_AUDIO_FIELD_NUMBER: _ClassVar[int]
    job: RenderJob
    source_audio: _music_pb2.FileChunk
    reference_audio: _music_pb2.FileChunk
    def __init__(self, job: _Optional[_Union[RenderJob, _Mapping]] = ..., source_audio: _Optional[_Union[_music_pb2.FileChunk, _Mapping]] = ..., reference_audio: _Optional[_Union[_music_pb2.FileChunk, _Mapping]] = ...) -> None: ...

class RenderResponse(_message.Message):
    __slots__ = ("queued", "started", "progress", "audio", "result", "live_audio")
    class Started(_message.Message):
        __slots__ = ("seed", "diffusion", "duration_seconds", "model", "warnings")
        SEED_FIELD_NUMBER: _ClassVar[int]
        DIFFUSION_FIELD_NUMBER: _ClassVar[int]
        DURATION_SECONDS_FIELD_NUMBER: _ClassVar[int]
        MODEL_FIELD_NUMBER: _ClassVar[int]
        WARNINGS_FIELD_NUMBER: _ClassVar[int]
        seed: int
        diffusion: _music_pb2.DiffusionParams
        duration_seconds: float
        model: _music_pb2.ModelVersion
        warnings: _containers.RepeatedScalarFieldContainer[str]
        def __init__(self, seed: _Optional[int] = ..., diffusion: _Optional[_Union[_music_pb2.DiffusionParams, _Mapping]] = ..., duration_seconds: _Optional[float] = ..., model: _Optional[_Union[_music_pb2.ModelVersion, _Mapping]] = ..., warnings: _Optional[_Iterable[str]] = ...) -> None: ...
    class Progress(_message.Message):
        __slots__ = ("phase", "step_count", "total_step_count")
        PHASE_FIELD_NUMBER: _ClassVar[int]
        STEP_COUNT_FIELD_NUMBER: _ClassVar[int]
        TOTAL_STEP_COUNT_FIELD_NUMBER: _ClassVar[int]
        phase: RenderPhase
        step_count: int
        total_step_count: int
        def __init__(self, phase: _Optional[_Union[RenderPhase, str]] = ..., step_count: _Optional[int] = ..., total_step_count: _Optional[int] = ...) -> None: ...
    class LiveAudio(_message.Message):
        __slots__ = ("first_sample", "chunk")
        FIRST_SAMPLE_FIELD_NUMBER: _ClassVar[int]
        CHUNK_FIELD_NUMBER: _ClassVar[int]
        first_sample: int
        chunk: _music_pb2.PcmChunk
        def __init__(self, first_sample: _Optional[int] = ..., chunk: _Optional[_Union[_music_pb2.PcmChunk, _Mapping]] = ...) -> None: ...
    class Result(_message.Message):
        __slots__ = ("duration_seconds", "sample_count", "peak_before_normalization", "silent", "latents", "timings", "live_gain", "loudness")
        class TimingsEntry(_message.Message):
            __slots__ = ("key", "value")
            KEY_FIELD_NUMBER: _ClassVar[int]
            VALUE_FIELD_NUMBER: _ClassVar[int]
            key: str
            value: float
            def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
        DURATION_SECONDS_FIELD_NUMBER: _ClassVar[int]
        SAMPLE_COUNT_FIELD_NUMBER: _ClassVar[int]
        PEAK_BEFORE_NORMALIZATION_FIELD_NUMBER: _ClassVar[int]
        SILENT_FIELD_NUMBER: _ClassVar[int]
        LATENTS_FIELD_NUMBER: _ClassVar[int]
        TIMINGS_FIELD_NUMBER: _ClassVar[int]
        LIVE_GAIN_FIELD_NUMBER: _ClassVar[int]
        LOUDNESS_FIELD_NUMBER: _ClassVar[int]
        duration_seconds: float
        sample_count: int
        peak_before_normalization: float
        silent: bool
        latents: _music_pb2.Latents
        timings: _containers.ScalarMap[str, float]
        live_gain: float
        loudness: _music_pb2.Loudness
        def __init__(self, duration_seconds: _Optional[float] = ..., sample_count: _Optional[int] = ..., peak_before_normalization: _Optional[float] = ..., silent: _Optional[bool] = ..., latents: _Optional[_Union[_music_pb2.Latents, _Mapping]] = ..., timings: _Optional[_Mapping[str, float]] = ..., live_gain: _Optional[float] = ..., loudness: _Optional[_Union[_music_pb2.Loudness, _Mapping]] = ...) -> None: ...
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    LIVE_AUDIO_FIELD_NUMBER: _ClassVar[int]
    queued: _music_pb2.QueueStatus
    started: RenderResponse.Started
    progress: RenderResponse.Progress
    audio: _music_pb2.PcmChunk
    result: RenderResponse.Result
    live_audio: RenderResponse.LiveAudio
    def __init__(self, queued: _Optional[_Union[_music_pb2.QueueStatus, _Mapping]] = ..., started: _Optional[_Union[RenderResponse.Started, _Mapping]] = ..., progress: _Optional[_Union[RenderResponse.Progress, _Mapping]] = ..., audio: _Optional[_Union[_music_pb2.PcmChunk, _Mapping]] = ..., result: _Optional[_Union[RenderResponse.Result, _Mapping]] = ..., live_audio: _Optional[_Union[RenderResponse.LiveAudio, _Mapping]] = ...) -> None: ...

class EncodeAudioRequest(_message.Message):
    __slots__ = ("header", "audio")
    class Header(_message.Message):
        __slots__ = ("model", "codes", "latents")
        MODEL_FIELD_NUMBER: _ClassVar[int]
        CODES_FIELD_NUMBER: _ClassVar[int]
        LATENTS_FIELD_NUMBER: _ClassVar[int]
        model: str
        codes: bool
        latents: bool
        def __init__(self, model: _Optional[str] = ..., codes: _Optional[bool] = ..., latents: _Optional[bool] = ...) -> None: ...
    HEADER_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    header: EncodeAudioRequest.Header
    audio: _music_pb2.FileChunk
    def __init__(self, header: _Optional[_Union[EncodeAudioRequest.Header, _Mapping]] = ..., audio: _Optional[_Union[_music_pb2.FileChunk, _Mapping]] = ...) -> None: ...

class EncodeAudioResponse(_message.Message):
    __slots__ = ("audio_codes", "latents", "duration_seconds", "model")
    AUDIO_CODES_FIELD_NUMBER: _ClassVar[int]
    LATENTS_FIELD_NUMBER: _ClassVar[int]
    DURATION_SECONDS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    audio_codes: _containers.RepeatedScalarFieldContainer[int]
    latents: _music_pb2.Latents
    duration_seconds: float
    model: _music_pb2.ModelVersion
    def __init__(self, audio_codes: _Optional[_Iterable[int]] = ..., latents: _Optional[_Union[_music_pb2.Latents, _Mapping]] = ..., duration_seconds: _Optional[float] = ..., model: _Optional[_Union[_music_pb2.ModelVersion, _Mapping]] = ...) -> None: ...

class DecodeRequest(_message.Message):
    __slots__ = ("latents", "audio_codes", "model", "finish")
    class Codes(_message.Message):
        __slots__ = ("codes",)
        CODES_FIELD_NUMBER: _ClassVar[int]
        codes: _containers.RepeatedScalarFieldContainer[int]
        def __init__(self, codes: _Optional[_Iterable[int]] = ...) -> None: ...
    LATENTS_FIELD_NUMBER: _ClassVar[int]
    AUDIO_CODES_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    FINISH_FIELD_NUMBER: _ClassVar[int]
    latents: _music_pb2.Latents
    audio_codes: DecodeRequest.Codes
    model: str
    finish: Finish
    def __init__(self, latents: _Optional[_Union[_music_pb2.Latents, _Mapping]] = ..., audio_codes: _Optional[_Union[DecodeRequest.Codes, _Mapping]] = ..., model: _Optional[str] = ..., finish: _Optional[_Union[Finish, _Mapping]] = ...) -> None: ...

class DecodeResponse(_message.Message):
    __slots__ = ("audio", "result")
    class Result(_message.Message):
        __slots__ = ("duration_seconds", "peak_before_normalization", "silent", "loudness")
        DURATION_SECONDS_FIELD_NUMBER: _ClassVar[int]
        PEAK_BEFORE_NORMALIZATION_FIELD_NUMBER: _ClassVar[int]
        SILENT_FIELD_NUMBER: _ClassVar[int]
        LOUDNESS_FIELD_NUMBER: _ClassVar[int]
        duration_seconds: float
        peak_before_normalization: float
        silent: bool
        loudness: _music_pb2.Loudness
        def __init__(self, duration_seconds: _Optional[float] = ..., peak_before_normalization: _Optional[float] = ..., silent: _Optional[bool] = ..., loudness: _Optional[_Union[_music_pb2.Loudness, _Mapping]] = ...) -> None: ...
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    audio: _music_pb2.PcmChunk
    result: DecodeResponse.Result
    def __init__(self, audio: _Optional[_Union[_music_pb2.PcmChunk, _Mapping]] = ..., result: _Optional[_Union[DecodeResponse.Result, _Mapping]] = ...) -> None: ...

class GetModelInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetModelInfoResponse(_message.Message):
    __slots__ = ("models", "vae", "text_encoder", "max_queued_count", "max_upload_bytes", "max_song_count", "max_call_count")
    MODELS_FIELD_NUMBER: _ClassVar[int]
    VAE_FIELD_NUMBER: _ClassVar[int]
    TEXT_ENCODER_FIELD_NUMBER: _ClassVar[int]
    MAX_QUEUED_COUNT_FIELD_NUMBER: _ClassVar[int]
    MAX_UPLOAD_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_SONG_COUNT_FIELD_NUMBER: _ClassVar[int]
    MAX_CALL_COUNT_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[DitModel]
    vae: _music_pb2.ModelVersion
    text_encoder: _music_pb2.ModelVersion
    max_queued_count: int
    max_upload_bytes: int
    max_song_count: int
    max_call_count: int
    def __init__(self, models: _Optional[_Iterable[_Union[DitModel, _Mapping]]] = ..., vae: _Optional[_Union[_music_pb2.ModelVersion, _Mapping]] = ..., text_encoder: _Optional[_Union[_music_pb2.ModelVersion, _Mapping]] = ..., max_queued_count: _Optional[int] = ..., max_upload_bytes: _Optional[int] = ..., max_song_count: _Optional[int] = ..., max_call_count: _Optional[int] = ...) -> None: ...

class DitModel(_message.Message):
    __slots__ = ("model", "is_turbo", "tasks", "defaults", "max_inference_steps", "code_count")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    IS_TURBO_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    DEFAULTS_FIELD_NUMBER: _ClassVar[int]
    MAX_INFERENCE_STEPS_FIELD_NUMBER: _ClassVar[int]
    CODE_COUNT_FIELD_NUMBER: _ClassVar[int]
    model: _music_pb2.ModelVersion
    is_turbo: bool
    tasks: _containers.RepeatedScalarFieldContainer[_music_pb2.Task]
    defaults: _music_pb2.DiffusionParams
    max_inference_steps: int
    code_count: int
    def __init__(self, model: _Optional[_Union[_music_pb2.ModelVersion, _Mapping]] = ..., is_turbo: _Optional[bool] = ..., tasks: _Optional[_Iterable[_Union[_music_pb2.Task, str]]] = ..., defaults: _Optional[_Union[_music_pb2.DiffusionParams, _Mapping]] = ..., max_inference_steps: _Optional[int] = ..., code_count: _Optional[int] = ...) -> None: ...
