"""The texts that condition a render, exactly as the model was trained on them.

Source: spec dit.md 2.1 (texts) and 2.3 (instructions).
"""

import re

from dit_service.engine import RenderJob, Task

TEXT2MUSIC_INSTRUCTION = "Fill the audio semantic mask based on the given conditions:"
INSTRUCTIONS = {
    Task.TEXT2MUSIC: TEXT2MUSIC_INSTRUCTION,
    Task.COVER: "Generate audio semantic tokens based on the given conditions:",
    Task.REPAINT: "Repaint the mask area based on the given conditions:",
    Task.LEGO: "Generate the {tracks} track based on the audio context:",
    Task.EXTRACT: "Extract the {tracks} track from the audio:",
    Task.COMPLETE: "Complete the input track with {tracks}:",
}

END_OF_TEXT = "<|endoftext|>"
ABSENT = "N/A"
WHOLE_PROMPT_CAPTION = re.compile(r"#\s*Caption\s*\n(.*?)(?:\n\s*#\s*Metas|$)", re.DOTALL)


def instruction(job: RenderJob) -> str:
    """The job's own instruction, or what its task tells the model; ends with a colon.

    The instruction of text2music, given for another task, is a default that was left alone.
    """
    given = job.instruction if job.instruction != TEXT2MUSIC_INSTRUCTION else None
    text = given or INSTRUCTIONS[job.task].format(tracks=" | ".join(job.tracks))
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
