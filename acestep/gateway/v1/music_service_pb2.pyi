from acestep.music.v1 import music_pb2 as _music_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Stage(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STAGE_UNSPECIFIED: _ClassVar[Stage]
    STAGE_LM: _ClassVar[Stage]
    STAGE_DIT: _ClassVar[Stage]

class DurationSource(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DURATION_SOURCE_UNSPECIFIED: _ClassVar[DurationSource]
    DURATION_SOURCE_REQUEST: _ClassVar[DurationSource]
    DURATION_SOURCE_SOURCE_AUDIO: _ClassVar[DurationSource]
    DURATION_SOURCE_AUDIO_CODES: _ClassVar[DurationSource]
    DURATION_SOURCE_PLAN: _ClassVar[DurationSource]
    DURATION_SOURCE_DEFAULT: _ClassVar[DurationSource]
    DURATION_SOURCE_LM_CODES: _ClassVar[DurationSource]

class Phase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PHASE_UNSPECIFIED: _ClassVar[Phase]
    PHASE_PLAN: _ClassVar[Phase]
    PHASE_CODES: _ClassVar[Phase]
    PHASE_CONDITIONING: _ClassVar[Phase]
    PHASE_DIFFUSION: _ClassVar[Phase]
    PHASE_DECODING: _ClassVar[Phase]
    PHASE_ENCODING: _ClassVar[Phase]
STAGE_UNSPECIFIED: Stage
STAGE_LM: Stage
STAGE_DIT: Stage
DURATION_SOURCE_UNSPECIFIED: DurationSource
DURATION_SOURCE_REQUEST: DurationSource
DURATION_SOURCE_SOURCE_AUDIO: DurationSource
DURATION_SOURCE_AUDIO_CODES: DurationSource
DURATION_SOURCE_PLAN: DurationSource
DURATION_SOURCE_DEFAULT: DurationSource
DURATION_SOURCE_LM_CODES: DurationSource
PHASE_UNSPECIFIED: Phase
PHASE_PLAN: Phase
PHASE_CODES: Phase
PHASE_CONDITIONING: Phase
PHASE_DIFFUSION: Phase
PHASE_DECODING: Phase
PHASE_ENCODING: Phase

class GenerateMusicRequest(_message.Message):
    __slots__ = ("request_id", "model", "lm_model", "task", "instruction", "caption", "lyrics", "instrumental", "vocal_language", "bpm", "keyscale", "timesignature", "duration_seconds", "source_audio_id", "reference_audio_id", "audio_codes", "cover", "repaint", "tracks", "diffusion", "lm", "batch", "output", "source_latents")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    LM_MODEL_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    INSTRUCTION_FIELD_NUMBER: _ClassVar[int]
    CAPTION_FIELD_NUMBER: _ClassVar[int]
    LYRICS_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENTAL_FIELD_NUMBER: _ClassVar[int]
    VOCAL_LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    BPM_FIELD_NUMBER: _ClassVar[int]
    KEYSCALE_FIELD_NUMBER: _ClassVar[int]
    TIMESIGNATURE_FIELD_NUMBER: _ClassVar[int]
    DURATION_SECONDS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_AUDIO_ID_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_AUDIO_ID_FIELD_NUMBER: _ClassVar[int]
    AUDIO_CODES_FIELD_NUMBER: _ClassVar[int]
    COVER_FIELD_NUMBER: _ClassVar[int]
    REPAINT_FIELD_NUMBER: _ClassVar[int]
    TRACKS_FIELD_NUMBER: _ClassVar[int]
    DIFFUSION_FIELD_NUMBER: _ClassVar[int]
    LM_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_LATENTS_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    model: str
    lm_model: str
    task: _music_pb2.Task
    instruction: str
    caption: str
    lyrics: str
    instrumental: bool
    vocal_language: str
    bpm: int
    keyscale: str
    timesignature: str
    duration_seconds: float
    source_audio_id: str
    reference_audio_id: str
    audio_codes: _containers.RepeatedScalarFieldContainer[int]
    cover: _music_pb2.CoverParams
    repaint: _music_pb2.RepaintParams
    tracks: _containers.RepeatedScalarFieldContainer[_music_pb2.Track]
    diffusion: _music_pb2.DiffusionParams
    lm: LmParams
    batch: BatchParams
    output: OutputParams
    source_latents: _music_pb2.Latents
    def __init__(self, request_id: _Optional[str] = ..., model: _Optional[str] = ..., lm_model: _Optional[str] = ..., task: _Optional[_Union[_music_pb2.Task, str]] = ..., instruction: _Optional[str] = ..., caption: _Optional[str] = ..., lyrics: _Optional[str] = ..., instrumental: _Optional[bool] = ..., vocal_language: _Optional[str] = ..., bpm: _Optional[int] = ..., keyscale: _Optional[str] = ..., timesignature: _Optional[str] = ..., duration_seconds: _Optional[float] = ..., source_audio_id: _Optional[str] = ..., reference_audio_id: _Optional[str] = ..., audio_codes: _Optional[_Iterable[int]] = ..., cover: _Optional[_Union[_music_pb2.CoverParams, _Mapping]] = ..., repaint: _Optional[_Union[_music_pb2.RepaintParams, _Mapping]] = ..., tracks: _Optional[_Iterable[_Union[_music_pb2.Track, str]]] = ..., diffusion: _Optional[_Union[_music_pb2.DiffusionParams, _Mapping]] = ..., lm: _Optional[_Union[LmParams, _Mapping]] = ..., batch: _Optional[_Union[BatchParams, _Mapping]] = ..., output: _Optional[_Union[OutputParams, _Mapping]] = ..., source_latents: _Optional[_Union[_music_pb2.Latents, _Mapping]] = ...) -> None: ...

class LmParams(_message.Message):
    __slots__ = ("thinking", "sampling", "cfg_scale", "negative_prompt", "chain_of_thought", "batch_chunk_size", "allow_batch")
    THINKING_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_FIELD_NUMBER: _ClassVar[int]
    CFG_SCALE_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_PROMPT_FIELD_NUMBER: _ClassVar[int]
    CHAIN_OF_THOUGHT_FIELD_NUMBER: _ClassVar[int]
    BATCH_CHUNK_SIZE_FIELD_NUMBER: _ClassVar[int]
    ALLOW_BATCH_FIELD_NUMBER: _ClassVar[int]
    thinking: bool
    sampling: _music_pb2.LmSampling
    cfg_scale: float
    negative_prompt: str
    chain_of_thought: _music_pb2.ChainOfThought
    batch_chunk_size: int
    allow_batch: bool
    def __init__(self, thinking: _Optional[bool] = ..., sampling: _Optional[_Union[_music_pb2.LmSampling, _Mapping]] = ..., cfg_scale: _Optional[float] = ..., negative_prompt: _Optional[str] = ..., chain_of_thought: _Optional[_Union[_music_pb2.ChainOfThought, _Mapping]] = ..., batch_chunk_size: _Optional[int] = ..., allow_batch: _Optional[bool] = ...) -> None: ...

class BatchParams(_message.Message):
    __slots__ = ("batch_size", "use_random_seed", "seeds", "lm_seeds", "dit_seeds", "plan_seed")
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    USE_RANDOM_SEED_FIELD_NUMBER: _ClassVar[int]
    SEEDS_FIELD_NUMBER: _ClassVar[int]
    LM_SEEDS_FIELD_NUMBER: _ClassVar[int]
    DIT_SEEDS_FIELD_NUMBER: _ClassVar[int]
    PLAN_SEED_FIELD_NUMBER: _ClassVar[int]
    batch_size: int
    use_random_seed: bool
    seeds: _containers.RepeatedScalarFieldContainer[int]
    lm_seeds: _containers.RepeatedScalarFieldContainer[int]
    dit_seeds: _containers.RepeatedScalarFieldContainer[int]
    plan_seed: int
    def __init__(self, batch_size: _Optional[int] = ..., use_random_seed: _Optional[bool] = ..., seeds: _Optional[_Iterable[int]] = ..., lm_seeds: _Optional[_Iterable[int]] = ..., dit_seeds: _Optional[_Iterable[int]] = ..., plan_seed: _Optional[int] = ...) -> None: ...

class OutputParams(_message.Message):
    __slots__ = ("audio_format", "mp3_bits_per_second", "enable_normalization", "normalization_db", "fade_in_seconds", "fade_out_seconds", "return_latents", "stream_audio")
    AUDIO_FORMAT_FIELD_NUMBER: _ClassVar[int]
    MP3_BITS_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    ENABLE_NORMALIZATION_FIELD_NUMBER: _ClassVar[int]
    NORMALIZATION_DB_FIELD_NUMBER: _ClassVar[int]
    FADE_IN_SECONDS_FIELD_NUMBER: _ClassVar[int]
    FADE_OUT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    RETURN_LATENTS_FIELD_NUMBER: _ClassVar[int]
    STREAM_AUDIO_FIELD_NUMBER: _ClassVar[int]
    audio_format: _music_pb2.AudioFormat
    mp3_bits_per_second: int
    enable_normalization: bool
    normalization_db: float
    fade_in_seconds: float
    fade_out_seconds: float
    return_latents: bool
    stream_audio: bool
    def __init__(self, audio_format: _Optional[_Union[_music_pb2.AudioFormat, str]] = ..., mp3_bits_per_second: _Optional[int] = ..., enable_normalization: _Optional[bool] = ..., normalization_db: _Optional[float] = ..., fade_in_seconds: _Optional[float] = ..., fade_out_seconds: _Optional[float] = ..., return_latents: _Optional[bool] = ..., stream_audio: _Optional[bool] = ...) -> None: ...

class GenerateMusicResponse(_message.Message):
    __slots__ = ("accepted", "queued", "plan_field", "plan", "progress", "audio_start", "audio", "song", "result", "live_audio", "retried")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    AUDIO_START_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    SONG_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    LIVE_AUDIO_FIELD_NUMBER: _ClassVar[int]
    RETRIED_FIELD_NUMBER: _ClassVar[int]
    accepted: Accepted
    queued: Queued
    plan_field: PlanField
    plan: Plan
    progress: Progress
    audio_start: AudioStart
    audio: AudioChunk
    song: Song
    result: GenerateMusicResult
    live_audio: LiveAudio
    retried: Retried
    def __init__(self, accepted: _Optional[_Union[Accepted, _Mapping]] = ..., queued: _Optional[_Union[Queued, _Mapping]] = ..., plan_field: _Optional[_Union[PlanField, _Mapping]] = ..., plan: _Optional[_Union[Plan, _Mapping]] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ..., audio_start: _Optional[_Union[AudioStart, _Mapping]] = ..., audio: _Optional[_Union[AudioChunk, _Mapping]] = ..., song: _Optional[_Union[Song, _Mapping]] = ..., result: _Optional[_Union[GenerateMusicResult, _Mapping]] = ..., live_audio: _Optional[_Union[LiveAudio, _Mapping]] = ..., retried: _Optional[_Union[Retried, _Mapping]] = ...) -> None: ...

class Seeds(_message.Message):
    __slots__ = ("lm_seed", "dit_seed")
    LM_SEED_FIELD_NUMBER: _ClassVar[int]
    DIT_SEED_FIELD_NUMBER: _ClassVar[int]
    lm_seed: int
    dit_seed: int
    def __init__(self, lm_seed: _Optional[int] = ..., dit_seed: _Optional[int] = ...) -> None: ...

class Accepted(_message.Message):
    __slots__ = ("request_id", "effective", "seeds", "warnings", "plan_seed")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_FIELD_NUMBER: _ClassVar[int]
    SEEDS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    PLAN_SEED_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    effective: GenerateMusicRequest
    seeds: _containers.RepeatedCompositeFieldContainer[Seeds]
    warnings: _containers.RepeatedScalarFieldContainer[str]
    plan_seed: int
    def __init__(self, request_id: _Optional[str] = ..., effective: _Optional[_Union[GenerateMusicRequest, _Mapping]] = ..., seeds: _Optional[_Iterable[_Union[Seeds, _Mapping]]] = ..., warnings: _Optional[_Iterable[str]] = ..., plan_seed: _Optional[int] = ...) -> None: ...

class Queued(_message.Message):
    __slots__ = ("stage", "song_index", "status")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    SONG_INDEX_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    stage: Stage
    song_index: int
    status: _music_pb2.QueueStatus
    def __init__(self, stage: _Optional[_Union[Stage, str]] = ..., song_index: _Optional[int] = ..., status: _Optional[_Union[_music_pb2.QueueStatus, _Mapping]] = ...) -> None: ...

class Retried(_message.Message):
    __slots__ = ("stage", "song_index")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    SONG_INDEX_FIELD_NUMBER: _ClassVar[int]
    stage: Stage
    song_index: int
    def __init__(self, stage: _Optional[_Union[Stage, str]] = ..., song_index: _Optional[int] = ...) -> None: ...

class PlanField(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class Plan(_message.Message):
    __slots__ = ("metadata", "lm_metadata", "lyrics", "duration_source", "lm_lyrics")
    METADATA_FIELD_NUMBER: _ClassVar[int]
    LM_METADATA_FIELD_NUMBER: _ClassVar[int]
    LYRICS_FIELD_NUMBER: _ClassVar[int]
    DURATION_SOURCE_FIELD_NUMBER: _ClassVar[int]
    LM_LYRICS_FIELD_NUMBER: _ClassVar[int]
    metadata: _music_pb2.SongMetadata
    lm_metadata: _music_pb2.SongMetadata
    lyrics: str
    duration_source: DurationSource
    lm_lyrics: str
    def __init__(self, metadata: _Optional[_Union[_music_pb2.SongMetadata, _Mapping]] = ..., lm_metadata: _Optional[_Union[_music_pb2.SongMetadata, _Mapping]] = ..., lyrics: _Optional[str] = ..., duration_source: _Optional[_Union[DurationSource, str]] = ..., lm_lyrics: _Optional[str] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("phase", "song_index", "step_count", "total_step_count", "fraction", "tokens_per_second", "estimated_remaining_seconds")
    PHASE_FIELD_NUMBER: _ClassVar[int]
    SONG_INDEX_FIELD_NUMBER: _ClassVar[int]
    STEP_COUNT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_STEP_COUNT_FIELD_NUMBER: _ClassVar[int]
    FRACTION_FIELD_NUMBER: _ClassVar[int]
    TOKENS_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_REMAINING_SECONDS_FIELD_NUMBER: _ClassVar[int]
    phase: Phase
    song_index: int
    step_count: int
    total_step_count: int
    fraction: float
    tokens_per_second: float
    estimated_remaining_seconds: float
    def __init__(self, phase: _Optional[_Union[Phase, str]] = ..., song_index: _Optional[int] = ..., step_count: _Optional[int] = ..., total_step_count: _Optional[int] = ..., fraction: _Optional[float] = ..., tokens_per_second: _Optional[float] = ..., estimated_remaining_seconds: _Optional[float] = ...) -> None: ...

class AudioStart(_message.Message):
    __slots__ = ("song_index", "audio_format", "media_type", "sample_rate_hertz", "channel_count", "byte_count")
    SONG_INDEX_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FORMAT_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_RATE_HERTZ_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_COUNT_FIELD_NUMBER: _ClassVar[int]
    BYTE_COUNT_FIELD_NUMBER: _ClassVar[int]
    song_index: int
    audio_format: _music_pb2.AudioFormat
    media_type: str
    sample_rate_hertz: int
    channel_count: int
    byte_count: int
    def __init__(self, song_index: _Optional[int] = ..., audio_format: _Optional[_Union[_music_pb2.AudioFormat, str]] = ..., media_type: _Optional[str] = ..., sample_rate_hertz: _Optional[int] = ..., channel_count: _Optional[int] = ..., byte_count: _Optional[int] = ...) -> None: ...

class AudioChunk(_message.Message):
    __slots__ = ("song_index", "offset_bytes", "data")
    SONG_INDEX_FIELD_NUMBER: _ClassVar[int]
    OFFSET_BYTES_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    song_index: int
    offset_bytes: int
    data: bytes
    def __init__(self, song_index: _Optional[int] = ..., offset_bytes: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class LiveAudio(_message.Message):
    __slots__ = ("song_index", "first_sample", "chunk")
    SONG_INDEX_FIELD_NUMBER: _ClassVar[int]
    FIRST_SAMPLE_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    song_index: int
    first_sample: int
    chunk: _music_pb2.PcmChunk
    def __init__(self, song_index: _Optional[int] = ..., first_sample: _Optional[int] = ..., chunk: _Optional[_Union[_music_pb2.PcmChunk, _Mapping]] = ...) -> None: ...

class Song(_message.Message):
    __slots__ = ("song_index", "seeds", "audio_codes", "requested_duration_seconds", "resolved_duration_seconds", "actual_duration_seconds", "audio_sha256", "peak_before_normalization", "silent", "latents", "timings", "error", "warnings", "live_gain", "loudness")
    class TimingsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    SONG_INDEX_FIELD_NUMBER: _ClassVar[int]
    SEEDS_FIELD_NUMBER: _ClassVar[int]
    AUDIO_CODES_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_DURATION_SECONDS_FIELD_NUMBER: _ClassVar[int]
    RESOLVED_DURATION_SECONDS_FIELD_NUMBER: _ClassVar[int]
    ACTUAL_DURATION_SECONDS_FIELD_NUMBER: _ClassVar[int]
    AUDIO_SHA256_FIELD_NUMBER: _ClassVar[int]
    PEAK_BEFORE_NORMALIZATION_FIELD_NUMBER: _ClassVar[int]
    SILENT_FIELD_NUMBER: _ClassVar[int]
    LATENTS_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    LIVE_GAIN_FIELD_NUMBER: _ClassVar[int]
    LOUDNESS_FIELD_NUMBER: _ClassVar[int]
    song_index: int
    seeds: Seeds
    audio_codes: _containers.RepeatedScalarFieldContainer[int]
    requested_duration_seconds: float
    resolved_duration_seconds: float
    actual_duration_seconds: float
    audio_sha256: str
    peak_before_normalization: float
    silent: bool
    latents: _music_pb2.Latents
    timings: _containers.ScalarMap[str, float]
    error: SongError
    warnings: _containers.RepeatedScalarFieldContainer[str]
    live_gain: float
    loudness: _music_pb2.Loudness
    def __init__(self, song_index: _Optional[int] = ..., seeds: _Optional[_Union[Seeds, _Mapping]] = ..., audio_codes: _Optional[_Iterable[int]] = ..., requested_duration_seconds: _Optional[float] = ..., resolved_duration_seconds: _Optional[float] = ..., actual_duration_seconds: _Optional[float] = ..., audio_sha256: _Optional[str] = ..., peak_before_normalization: _Optional[float] = ..., silent: _Optional[bool] = ..., latents: _Optional[_Union[_music_pb2.Latents, _Mapping]] = ..., timings: _Optional[_Mapping[str, float]] = ..., error: _Optional[_Union[SongError, _Mapping]] = ..., warnings: _Optional[_Iterable[str]] = ..., live_gain: _Optional[float] = ..., loudness: _Optional[_Union[_music_pb2.Loudness, _Mapping]] = ...) -> None: ...

class SongError(_message.Message):
    __slots__ = ("code", "reason", "message", "retry_delay_seconds", "violations", "facts")
    class FieldViolation(_message.Message):
        __slots__ = ("field", "rule", "value")
        FIELD_FIELD_NUMBER: _ClassVar[int]
        RULE_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        field: str
        rule: str
        value: str
        def __init__(self, field: _Optional[str] = ..., rule: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class FactsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRY_DELAY_SECONDS_FIELD_NUMBER: _ClassVar[int]
    VIOLATIONS_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    code: int
    reason: str
    message: str
    retry_delay_seconds: float
    violations: _containers.RepeatedCompositeFieldContainer[SongError.FieldViolation]
    facts: _containers.ScalarMap[str, str]
    def __init__(self, code: _Optional[int] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., retry_delay_seconds: _Optional[float] = ..., violations: _Optional[_Iterable[_Union[SongError.FieldViolation, _Mapping]]] = ..., facts: _Optional[_Mapping[str, str]] = ...) -> None: ...

class GenerateMusicResult(_message.Message):
    __slots__ = ("request_id", "plan", "succeeded_count", "failed_count", "timings", "dit_model", "lm_model", "vae", "text_encoder", "server_version")
    class TimingsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    SUCCEEDED_COUNT_FIELD_NUMBER: _ClassVar[int]
    FAILED_COUNT_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    DIT_MODEL_FIELD_NUMBER: _ClassVar[int]
    LM_MODEL_FIELD_NUMBER: _ClassVar[int]
    VAE_FIELD_NUMBER: _ClassVar[int]
    TEXT_ENCODER_FIELD_NUMBER: _ClassVar[int]
    SERVER_VERSION_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    plan: Plan
    succeeded_count: int
    failed_count: int
    timings: _containers.ScalarMap[str, float]
    dit_model: _music_pb2.ModelVersion
    lm_model: _music_pb2.ModelVersion
    vae: _music_pb2.ModelVersion
    text_encoder: _music_pb2.ModelVersion
    server_version: str
    def __init__(self, request_id: _Optional[str] = ..., plan: _Optional[_Union[Plan, _Mapping]] = ..., succeeded_count: _Optional[int] = ..., failed_count: _Optional[int] = ..., timings: _Optional[_Mapping[str, float]] = ..., dit_model: _Optional[_Union[_music_pb2.ModelVersion, _Mapping]] = ..., lm_model: _Optional[_Union[_music_pb2.ModelVersion, _Mapping]] = ..., vae: _Optional[_Union[_music_pb2.ModelVersion, _Mapping]] = ..., text_encoder: _Optional[_Union[_music_pb2.ModelVersion, _Mapping]] = ..., server_version: _Optional[str] = ...) -> None: ...

class SongDescription(_message.Message):
    __slots__ = ("metadata", "lyrics", "instrumental", "seed", "lm_model", "timings")
    class TimingsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    METADATA_FIELD_NUMBER: _ClassVar[int]
    LYRICS_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENTAL_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    LM_MODEL_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    metadata: _music_pb2.SongMetadata
    lyrics: str
    instrumental: bool
    seed: int
    lm_model: _music_pb2.ModelVersion
    timings: _containers.ScalarMap[str, float]
    def __init__(self, metadata: _Optional[_Union[_music_pb2.SongMetadata, _Mapping]] = ..., lyrics: _Optional[str] = ..., instrumental: _Optional[bool] = ..., seed: _Optional[int] = ..., lm_model: _Optional[_Union[_music_pb2.ModelVersion, _Mapping]] = ..., timings: _Optional[_Mapping[str, float]] = ...) -> None: ...

class DescriptionProgress(_message.Message):
    __slots__ = ("token_count", "tokens_per_second")
    TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    TOKENS_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    token_count: int
    tokens_per_second: float
    def __init__(self, token_count: _Optional[int] = ..., tokens_per_second: _Optional[float] = ...) -> None: ...

class UnderstandMusicRequest(_message.Message):
    __slots__ = ("audio_codes", "audio_id", "sampling", "lm_model")
    class AudioCodes(_message.Message):
        __slots__ = ("codes",)
        CODES_FIELD_NUMBER: _ClassVar[int]
        codes: _containers.RepeatedScalarFieldContainer[int]
        def __init__(self, codes: _Optional[_Iterable[int]] = ...) -> None: ...
    AUDIO_CODES_FIELD_NUMBER: _ClassVar[int]
    AUDIO_ID_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_FIELD_NUMBER: _ClassVar[int]
    LM_MODEL_FIELD_NUMBER: _ClassVar[int]
    audio_codes: UnderstandMusicRequest.AudioCodes
    audio_id: str
    sampling: _music_pb2.LmSampling
    lm_model: str
    def __init__(self, audio_codes: _Optional[_Union[UnderstandMusicRequest.AudioCodes, _Mapping]] = ..., audio_id: _Optional[str] = ..., sampling: _Optional[_Union[_music_pb2.LmSampling, _Mapping]] = ..., lm_model: _Optional[str] = ...) -> None: ...

class UnderstandMusicResponse(_message.Message):
    __slots__ = ("queued", "progress", "field", "result")
    class Result(_message.Message):
        __slots__ = ("description", "audio_codes")
        DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
        AUDIO_CODES_FIELD_NUMBER: _ClassVar[int]
        description: SongDescription
        audio_codes: _containers.RepeatedScalarFieldContainer[int]
        def __init__(self, description: _Optional[_Union[SongDescription, _Mapping]] = ..., audio_codes: _Optional[_Iterable[int]] = ...) -> None: ...
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    queued: Queued
    progress: DescriptionProgress
    field: PlanField
    result: UnderstandMusicResponse.Result
    def __init__(self, queued: _Optional[_Union[Queued, _Mapping]] = ..., progress: _Optional[_Union[DescriptionProgress, _Mapping]] = ..., field: _Optional[_Union[PlanField, _Mapping]] = ..., result: _Optional[_Union[UnderstandMusicResponse.Result, _Mapping]] = ...) -> None: ...

class CreateSampleRequest(_message.Message):
    __slots__ = ("query", "instrumental", "vocal_language", "sampling", "lm_model")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENTAL_FIELD_NUMBER: _ClassVar[int]
    VOCAL_LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_FIELD_NUMBER: _ClassVar[int]
    LM_MODEL_FIELD_NUMBER: _ClassVar[int]
    query: str
    instrumental: bool
    vocal_language: str
    sampling: _music_pb2.LmSampling
    lm_model: str
    def __init__(self, query: _Optional[str] = ..., instrumental: _Optional[bool] = ..., vocal_language: _Optional[str] = ..., sampling: _Optional[_Union[_music_pb2.LmSampling, _Mapping]] = ..., lm_model: _Optional[str] = ...) -> None: ...

class CreateSampleResponse(_message.Message):
    __slots__ = ("queued", "progress", "field", "result")
    class Result(_message.Message):
        __slots__ = ("description",)
        DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
        description: SongDescription
        def __init__(self, description: _Optional[_Union[SongDescription, _Mapping]] = ...) -> None: ...
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    queued: Queued
    progress: DescriptionProgress
    field: PlanField
    result: CreateSampleResponse.Result
    def __init__(self, queued: _Optional[_Union[Queued, _Mapping]] = ..., progress: _Optional[_Union[DescriptionProgress, _Mapping]] = ..., field: _Optional[_Union[PlanField, _Mapping]] = ..., result: _Optional[_Union[CreateSampleResponse.Result, _Mapping]] = ...) -> None: ...

class FormatSampleRequest(_message.Message):
    __slots__ = ("caption", "lyrics", "user_metadata", "sampling", "lm_model")
    CAPTION_FIELD_NUMBER: _ClassVar[int]
    LYRICS_FIELD_NUMBER: _ClassVar[int]
    USER_METADATA_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_FIELD_NUMBER: _ClassVar[int]
    LM_MODEL_FIELD_NUMBER: _ClassVar[int]
    caption: str
    lyrics: str
    user_metadata: _music_pb2.SongMetadata
    sampling: _music_pb2.LmSampling
    lm_model: str
    def __init__(self, caption: _Optional[str] = ..., lyrics: _Optional[str] = ..., user_metadata: _Optional[_Union[_music_pb2.SongMetadata, _Mapping]] = ..., sampling: _Optional[_Union[_music_pb2.LmSampling, _Mapping]] = ..., lm_model: _Optional[str] = ...) -> None: ...

class FormatSampleResponse(_message.Message):
    __slots__ = ("queued", "progress", "field", "result")
    class Result(_message.Message):
        __slots__ = ("description",)
        DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
        description: SongDescription
        def __init__(self, description: _Optional[_Union[SongDescription, _Mapping]] = ...) -> None: ...
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    queued: Queued
    progress: DescriptionProgress
    field: PlanField
    result: FormatSampleResponse.Result
    def __init__(self, queued: _Optional[_Union[Queued, _Mapping]] = ..., progress: _Optional[_Union[DescriptionProgress, _Mapping]] = ..., field: _Optional[_Union[PlanField, _Mapping]] = ..., result: _Optional[_Union[FormatSampleResponse.Result, _Mapping]] = ...) -> None: ...

class UploadAudioRequest(_message.Message):
    __slots__ = ("header", "chunk")
    class Header(_message.Message):
        __slots__ = ("byte_count",)
        BYTE_COUNT_FIELD_NUMBER: _ClassVar[int]
        byte_count: int
        def __init__(self, byte_count: _Optional[int] = ...) -> None: ...
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    header: UploadAudioRequest.Header
    chunk: _music_pb2.FileChunk
    def __init__(self, header: _Optional[_Union[UploadAudioRequest.Header, _Mapping]] = ..., chunk: _Optional[_Union[_music_pb2.FileChunk, _Mapping]] = ...) -> None: ...

class UploadAudioResponse(_message.Message):
    __slots__ = ("audio_id", "duration_seconds", "sample_rate_hertz", "channel_count")
    AUDIO_ID_FIELD_NUMBER: _ClassVar[int]
    DURATION_SECONDS_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_RATE_HERTZ_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_COUNT_FIELD_NUMBER: _ClassVar[int]
    audio_id: str
    duration_seconds: float
    sample_rate_hertz: int
    channel_count: int
    def __init__(self, audio_id: _Optional[str] = ..., duration_seconds: _Optional[float] = ..., sample_rate_hertz: _Optional[int] = ..., channel_count: _Optional[int] = ...) -> None: ...

class GetCapabilitiesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetCapabilitiesResponse(_message.Message):
    __slots__ = ("dit_models", "lm_models", "code_count", "limits", "audio_formats", "languages", "keyscales", "timesignatures", "lm_defaults", "server_version", "methods")
    class DitModel(_message.Message):
        __slots__ = ("model", "is_turbo", "tasks", "defaults", "max_inference_steps")
        MODEL_FIELD_NUMBER: _ClassVar[int]
        IS_TURBO_FIELD_NUMBER: _ClassVar[int]
        TASKS_FIELD_NUMBER: _ClassVar[int]
        DEFAULTS_FIELD_NUMBER: _ClassVar[int]
        MAX_INFERENCE_STEPS_FIELD_NUMBER: _ClassVar[int]
        model: _music_pb2.ModelVersion
        is_turbo: bool
        tasks: _containers.RepeatedScalarFieldContainer[_music_pb2.Task]
        defaults: _music_pb2.DiffusionParams
        max_inference_steps: int
        def __init__(self, model: _Optional[_Union[_music_pb2.ModelVersion, _Mapping]] = ..., is_turbo: _Optional[bool] = ..., tasks: _Optional[_Iterable[_Union[_music_pb2.Task, str]]] = ..., defaults: _Optional[_Union[_music_pb2.DiffusionParams, _Mapping]] = ..., max_inference_steps: _Optional[int] = ...) -> None: ...
    class Limits(_message.Message):
        __slots__ = ("max_caption_characters", "max_lyrics_characters", "min_duration_seconds", "max_duration_seconds", "min_bpm", "max_bpm", "max_batch_size", "max_upload_bytes", "upload_lifetime_seconds", "max_upload_seconds", "max_instruction_characters", "max_audio_code_count")
        MAX_CAPTION_CHARACTERS_FIELD_NUMBER: _ClassVar[int]
        MAX_LYRICS_CHARACTERS_FIELD_NUMBER: _ClassVar[int]
        MIN_DURATION_SECONDS_FIELD_NUMBER: _ClassVar[int]
        MAX_DURATION_SECONDS_FIELD_NUMBER: _ClassVar[int]
        MIN_BPM_FIELD_NUMBER: _ClassVar[int]
        MAX_BPM_FIELD_NUMBER: _ClassVar[int]
        MAX_BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
        MAX_UPLOAD_BYTES_FIELD_NUMBER: _ClassVar[int]
        UPLOAD_LIFETIME_SECONDS_FIELD_NUMBER: _ClassVar[int]
        MAX_UPLOAD_SECONDS_FIELD_NUMBER: _ClassVar[int]
        MAX_INSTRUCTION_CHARACTERS_FIELD_NUMBER: _ClassVar[int]
        MAX_AUDIO_CODE_COUNT_FIELD_NUMBER: _ClassVar[int]
        max_caption_characters: int
        max_lyrics_characters: int
        min_duration_seconds: float
        max_duration_seconds: float
        min_bpm: int
        max_bpm: int
        max_batch_size: int
        max_upload_bytes: int
        upload_lifetime_seconds: float
        max_upload_seconds: float
        max_instruction_characters: int
        max_audio_code_count: int
        def __init__(self, max_caption_characters: _Optional[int] = ..., max_lyrics_characters: _Optional[int] = ..., min_duration_seconds: _Optional[float] = ..., max_duration_seconds: _Optional[float] = ..., min_bpm: _Optional[int] = ..., max_bpm: _Optional[int] = ..., max_batch_size: _Optional[int] = ..., max_upload_bytes: _Optional[int] = ..., upload_lifetime_seconds: _Optional[float] = ..., max_upload_seconds: _Optional[float] = ..., max_instruction_characters: _Optional[int] = ..., max_audio_code_count: _Optional[int] = ...) -> None: ...
    DIT_MODELS_FIELD_NUMBER: _ClassVar[int]
    LM_MODELS_FIELD_NUMBER: _ClassVar[int]
    CODE_COUNT_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FORMATS_FIELD_NUMBER: _ClassVar[int]
    LANGUAGES_FIELD_NUMBER: _ClassVar[int]
    KEYSCALES_FIELD_NUMBER: _ClassVar[int]
    TIMESIGNATURES_FIELD_NUMBER: _ClassVar[int]
    LM_DEFAULTS_FIELD_NUMBER: _ClassVar[int]
    SERVER_VERSION_FIELD_NUMBER: _ClassVar[int]
    METHODS_FIELD_NUMBER: _ClassVar[int]
    dit_models: _containers.RepeatedCompositeFieldContainer[GetCapabilitiesResponse.DitModel]
    lm_models: _containers.RepeatedCompositeFieldContainer[_music_pb2.ModelVersion]
    code_count: int
    limits: GetCapabilitiesResponse.Limits
    audio_formats: _containers.RepeatedScalarFieldContainer[_music_pb2.AudioFormat]
    languages: _containers.RepeatedScalarFieldContainer[str]
    keyscales: _containers.RepeatedScalarFieldContainer[str]
    timesignatures: _containers.RepeatedScalarFieldContainer[str]
    lm_defaults: LmParams
    server_version: str
    methods: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, dit_models: _Optional[_Iterable[_Union[GetCapabilitiesResponse.DitModel, _Mapping]]] = ..., lm_models: _Optional[_Iterable[_Union[_music_pb2.ModelVersion, _Mapping]]] = ..., code_count: _Optional[int] = ..., limits: _Optional[_Union[GetCapabilitiesResponse.Limits, _Mapping]] = ..., audio_formats: _Optional[_Iterable[_Union[_music_pb2.AudioFormat, str]]] = ..., languages: _Optional[_Iterable[str]] = ..., keyscales: _Optional[_Iterable[str]] = ..., timesignatures: _Optional[_Iterable[str]] = ..., lm_defaults: _Optional[_Union[LmParams, _Mapping]] = ..., server_version: _Optional[str] = ..., methods: _Optional[_Iterable[str]] = ...) -> None: ...
