"""Rates, limits and value sets that every service must agree on.

Source: spec lm.md 3.2 (value sets), dit.md 1.1 (rates) and 5.6 (documented ranges).
"""

SAMPLE_RATE_HZ = 48_000
CHANNELS = 2
LATENT_RATE_HZ = 25
CODE_RATE_HZ = 5

MIN_DURATION_S = 10.0
MAX_DURATION_S = 600.0
DEFAULT_DURATION_S = 120.0
MIN_BPM = 30
MAX_BPM = 300
MAX_BATCH = 8
MAX_CAPTION_CHARACTERS = 512
MAX_LYRICS_CHARACTERS = 4096
MAX_CODES = int(MAX_DURATION_S) * CODE_RATE_HZ
MAX_SEED = 2**63 - 1

CHUNK_BYTES = 256 * 1024
"""Size of audio messages: a reader waits for little."""

SONG_CHUNK_BYTES = 1024 * 1024
"""Of those of a finished song, for which nobody waits: fewer messages cost less (`bench.delivery`)."""

MAX_CHUNK_BYTES = 1024 * 1024
"""Largest chunk of an upload that is taken."""

INSTRUMENTAL_LYRICS = "[Instrumental]"
UNKNOWN_LANGUAGE = "unknown"

LANGUAGES = tuple(
    "ar az bg bn ca cs da de el en es fa fi fr he hi hr ht hu id is it ja ko la lt ms ne nl no pa"
    " pl pt ro ru sa sk sr sv sw ta te th tl tr uk ur vi yue zh unknown".split()
)
TIMESIGNATURES = ("2", "3", "4", "6")
KEYSCALES = tuple(
    f"{note}{accidental} {mode}"
    for note in "ABCDEFG"
    for accidental in ("", "#", "b", "♯", "♭")
    for mode in ("major", "minor")
)
