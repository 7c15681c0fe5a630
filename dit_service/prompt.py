"""The texts that condition a render, exactly as the model was trained on them.

Source: spec dit.md 2.1 (texts) and 2.3 (instructions).
"""

import re

from dit_service.engine import RenderJob

TEXT2MUSIC_INSTRUCTION = "Fill the audio semantic mask based on the given conditions:"
COVER_INSTRUCTION = "Generate audio semantic tokens based on the given conditions:"

END_OF_TEXT = "<|endoftext|>"
ABSENT = "N/A"
WHOLE_PROMPT_CAPTION = re.compile(r"#\s*Caption\s*\n(.*?)(?:\n\s*#\s*Metas|$)", re.DOTALL)


def instruction(job: RenderJob) -> str:
    """The job's own instruction, or what its task tells the model; ends with a colon."""
    text = job.instruction or (COVER_INSTRUCTION if job.audio_codes else TEXT2MUSIC_INSTRUCTION)
    return text if text.endswith(":") else f"{text}:"


def text(job: RenderJob, instruction: str) -> str:
    """What the text encoder reads: the instruction, the caption and the metadata."""
    return (
        f"# Instruction\n{instruction}\n\n"
        f"# Caption\n{_caption(job.caption)}\n\n"
        f"# Metas\n{_metas(job)}{END_OF_TEXT}\n"
    )


def lyrics(job: RenderJob) -> str:
    """What the lyric encoder reads."""
    return f"# Languages\n{job.language}\n\n# Lyric\n{job.lyrics}{END_OF_TEXT}"


def _metas(job: RenderJob) -> str:
    return (
        f"- bpm: {job.bpm or ABSENT}\n"
        f"- timesignature: {job.timesignature or ABSENT}\n"
        f"- keyscale: {job.keyscale or ABSENT}\n"
        f"- duration: {int(job.duration_s)} seconds\n"
    )


def _caption(caption: str) -> str:
    """The caption itself, also where a whole prompt was given in its place."""
    if "# Instruction" in caption and "# Caption" in caption:
        match = WHOLE_PROMPT_CAPTION.search(caption)
        return match.group(1).strip() if match else caption
    return caption
