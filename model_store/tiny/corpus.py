"""The words that the tiny tokenizer knows as single tokens. Any other text is spelt in pieces."""

from common.music import KEYSCALES, LANGUAGES

FIELDS = "bpm caption duration genres keyscale language timesignature instrumental true false N/A".split()
HEADINGS = (
    "# Instruction\n# Caption\n# Lyric\n# Lyrics\n# Languages\n# Metas\n",
    "Generate audio semantic tokens based on the given conditions:\n\n",
    "Understand the given musical conditions and describe the audio semantics accordingly:\n\n",
    "Expand the user's input into a more detailed and specific musical description:\n\n",
    "Format the user's input into a more detailed and specific musical description:\n\n",
    "Fill the audio semantic mask based on the given conditions:\n\n",
    "NO USER INPUT system user assistant\n",
    "- bpm: N/A\n- timesignature: 4\n- keyscale: N/A\n- duration: 30 seconds\n",
    "[Intro] [Verse] [Chorus] [Bridge] [Outro] [Instrumental] [Guitar Solo]\n",
)
MUSIC = (
    "a an the and with of in on over under by for from into slow fast warm bright dark soft loud gentle "
    "driving dreamy melancholic joyful nostalgic epic intimate live studio vintage modern clean lush "
    "sparse piano guitar bass drums strings brass flute saxophone violin cello organ synth pads bells "
    "choir vocals female male voice whispered soaring rhythm groove beat melody harmony chord arpeggio "
    "riff hook solo pop rock jazz blues folk soul funk disco house techno ambient orchestral cinematic "
    "lofi hip hop country reggae metal punk waltz ballad song track piece verse chorus bridge intro "
    "outro tempo major minor"
).split()
LYRICS = (
    "I you we they me my your our love heart night day light sun moon star sky sea river rain wind fire "
    "road home door window city street dance sing hold wait run fall rise dream sleep wake remember "
    "forget never always again tonight tomorrow away down up here there where when why how still only "
    "little long blue gold silver time life world hand eye soul"
).split()


def texts() -> list[str]:
    """Each word both after a space and at the start of a line, as they occur in prompts and in answers."""
    words = [*FIELDS, *MUSIC, *LYRICS, *LANGUAGES, *(word for key in KEYSCALES for word in key.split())]
    return [*HEADINGS, "\n\n", *(f"{word}\n {word}:\n {word.capitalize()}, {word}.\n\n" for word in words)]
