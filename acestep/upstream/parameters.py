"""What a generation is asked with: upstream's names, order and defaults.

Source: the published inference API. What each field does here: docs/inference_api.md.
"""

from dataclasses import dataclass

from acestep.upstream.fields import Fields

TEXT2MUSIC_INSTRUCTION = "Fill the audio semantic mask based on the given conditions:"


@dataclass
class GenerationParams(Fields):
    """The song. The `cot_` fields at the end are filled by `generate_music`."""

    task_type: str = "text2music"
    instruction: str = TEXT2MUSIC_INSTRUCTION

    reference_audio: str | None = None
    src_audio: str | None = None

    audio_codes: str = ""

    caption: str = ""
    lyrics: str = ""
    instrumental: bool = False

    vocal_language: str = "unknown"
    bpm: int | None = None
    keyscale: str = ""
    timesignature: str = ""
    duration: float = -1.0

    inference_steps: int = 8
    seed: int = -1
    guidance_scale: float = 7.0
    use_adg: bool = False
    cfg_interval_start: float = 0.0
    cfg_interval_end: float = 1.0
    shift: float = 1.0
    infer_method: str = "ode"
    timesteps: list[float] | None = None

    repainting_start: float = 0.0
    repainting_end: float = -1
    audio_cover_strength: float = 1.0

    thinking: bool = True
    lm_temperature: float = 0.85
    lm_cfg_scale: float = 2.0
    lm_top_k: int = 0
    lm_top_p: float = 0.9
    lm_negative_prompt: str = "NO USER INPUT"
    use_cot_metas: bool = True
    use_cot_caption: bool = True
    use_cot_lyrics: bool = False
    use_cot_language: bool = True
    use_constrained_decoding: bool = True

    cot_bpm: int | None = None
    cot_keyscale: str = ""
    cot_timesignature: str = ""
    cot_duration: float | None = None
    cot_vocal_language: str = "unknown"
    cot_caption: str = ""
    cot_lyrics: str = ""


@dataclass
class GenerationConfig(Fields):
    """How many songs, from which seeds, as which files."""

    batch_size: int = 2
    allow_lm_batch: bool = False
    use_random_seed: bool = True
    seeds: list[int] | int | None = None
    lm_batch_chunk_size: int = 8
    constrained_decoding_debug: bool = False
    audio_format: str = "flac"
