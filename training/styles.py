"""Styles: tempo, metre, grooves, harmony and the instruments that may play."""

from dataclasses import dataclass

# A groove is a bar of sixteenths (of twelfths where the beat has three parts); `x` is loud, `o` soft.
Groove = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    name: str
    words: tuple[str, ...]
    """How a caption may call it."""
    moods: tuple[str, ...]
    tempo: tuple[int, int]
    meters: tuple[int, ...]
    kits: tuple[str, ...]
    groove: str
    bass: tuple[str, ...]
    bass_line: str
    chords: tuple[str, ...]
    chord_pattern: str
    pads: tuple[str, ...]
    leads: tuple[str, ...]
    percussion: float = 0.3
    """How often there is any."""
    major: float = 0.5
    """How often the key is major."""


GROOVES: dict[str, dict[int, Groove]] = {
    "four on the floor": {
        4: {"kick": "x---x---x---x---", "clap": "----x-------x---", "hat": "o-o-o-o-o-o-o-o-", "open hat": "--x---x---x---x-"},
        2: {"kick": "x---x---", "clap": "----x---", "open hat": "--x---x-"},
        3: {"kick": "x---x---x---", "clap": "----x---x---", "open hat": "--x---x---x-"},
    },
    "backbeat": {
        4: {"kick": "x-------x-o-----", "snare": "----x-------x---", "hat": "x-o-x-o-x-o-x-o-"},
        2: {"kick": "x-----o-", "snare": "----x---", "hat": "x-o-x-o-"},
        3: {"kick": "x-----------", "snare": "----x---x---", "hat": "x-o-x-o-x-o-"},
        6: {"kick": "x-----", "snare": "---x--", "hat": "xooxoo"},
    },
    "half time": {
        4: {"kick": "x-----o---o-----", "rim": "--------x-------", "hat": "o-o-o-o-o-o-o-o-"},
        2: {"kick": "x-----o-", "rim": "----x---", "hat": "o-o-o-o-"},
        3: {"kick": "x---------o-", "rim": "--------x---", "hat": "o---o---o---"},
        6: {"kick": "x----o", "rim": "---x--", "hat": "o-oo-o"},
    },
    "driving": {
        4: {"kick": "x-x-----x-x-----", "snare": "----x-------x-o-", "hat": "x-x-x-x-x-x-x-x-"},
        2: {"kick": "x-o-----", "snare": "----x---", "hat": "x-x-x-x-"},
        3: {"kick": "x-x---------", "snare": "----x---x-o-", "hat": "x-x-x-x-x-x-"},
        6: {"kick": "x-o-o-", "snare": "---x--", "hat": "xxxxxx"},
    },
    "break": {
        4: {"kick": "x-x-------x-----", "snare": "----x--o-o--x--o", "hat": "x-x-x-x-x-x-x-x-"},
        2: {"kick": "x-x---o-", "snare": "----x--o", "hat": "x-x-x-x-"},
    },
    "swing": {
        4: {"kick": "x-------o-------", "ride": "x---x-o-x---x-o-", "hat": "----x-------x---", "snare": "------------o---"},
        2: {"kick": "x-------", "ride": "x---x-o-", "hat": "----x---"},
        3: {"kick": "x-----------", "ride": "x---x-o-x---", "hat": "----x---x---"},
        6: {"kick": "x-----", "ride": "x-ox-o", "hat": "---x--"},
    },
    "none": {2: {}, 3: {}, 4: {}, 6: {}},
}  # fmt: skip

PERCUSSION: dict[str, Groove] = {
    "shaker": {"shaker": "o-x-"},
    "congas": {"conga": "--x---xx", "low conga": "x---x---"},
}

PROGRESSIONS = {
    "major": ((0, 3, 4, 0), (0, 4, 3, 0), (0, 1, 4, 0), (0, 3, 4, 5)),
    "minor": ((0, 3, 4, 0), (0, 5, 6, 0), (0, 3, 6, 0), (0, 4, 3, 0)),
}
"""Each begins on the tonic and sounds the whole scale with its first three chords: a key can be heard soon."""

STYLES = (
    Style(name="house", words=("house", "deep house", "dance"), moods=("energetic", "uplifting", "hypnotic"),
          tempo=(118, 130), meters=(4,), kits=("electronic drums",), groove="four on the floor",
          bass=("synth bass",), bass_line="offbeat", chords=("organ", "piano"),
          chord_pattern="stabs", pads=("synth pad", "strings"), leads=("synth lead",),
          percussion=0.3, major=0.4),
    Style(name="techno", words=("techno", "electronic", "club"), moods=("dark", "driving", "mechanical"),
          tempo=(124, 142), meters=(4,), kits=("electronic drums",), groove="four on the floor",
          bass=("synth bass",), bass_line="eighths", chords=("synth lead",), chord_pattern="arpeggio",
          pads=("synth pad",), leads=("synth lead",), percussion=0.2, major=0.1),
    Style(name="pop", words=("pop", "indie pop", "bright pop"), moods=("happy", "bright", "catchy"),
          tempo=(92, 132), meters=(4, 4, 4, 2), kits=("acoustic drums", "electronic drums"), groove="backbeat",
          bass=("electric bass", "synth bass"), bass_line="eighths", chords=("piano", "acoustic guitar"),
          chord_pattern="strum", pads=("strings", "synth pad"), leads=("synth lead", "flute"), major=0.75),
    Style(name="rock", words=("rock", "alternative rock", "hard rock"), moods=("powerful", "driving", "raw"),
          tempo=(100, 168), meters=(4, 4, 4, 6), kits=("acoustic drums",), groove="driving",
          bass=("electric bass",), bass_line="eighths", chords=("organ", "acoustic guitar"),
          chord_pattern="eighths", pads=("organ",), leads=("synth lead", "brass"), major=0.5),
    Style(name="lo-fi", words=("lo-fi", "lo-fi hip hop", "chillhop"), moods=("mellow", "nostalgic", "relaxed"),
          tempo=(66, 92), meters=(4, 4, 3), kits=("electronic drums", "acoustic drums"), groove="half time",
          bass=("electric bass", "synth bass"), bass_line="roots", chords=("piano", "acoustic guitar"),
          chord_pattern="lazy", pads=("synth pad", "strings"), leads=("flute",), major=0.5),
    Style(name="jazz", words=("jazz", "cool jazz", "smooth jazz"), moods=("smoky", "relaxed", "playful"),
          tempo=(84, 176), meters=(4, 4, 3), kits=("acoustic drums",), groove="swing",
          bass=("electric bass",), bass_line="walking", chords=("piano", "organ"), chord_pattern="comping",
          pads=("strings",), leads=("brass", "flute"), percussion=0.1),
    Style(name="waltz", words=("waltz", "ballroom waltz"), moods=("elegant", "romantic", "graceful"),
          tempo=(78, 168), meters=(3,), kits=("acoustic drums",), groove="swing",
          bass=("electric bass",), bass_line="roots", chords=("piano", "acoustic guitar"),
          chord_pattern="oom pah", pads=("strings",), leads=("flute", "strings"), percussion=0.1),
    Style(name="ballad", words=("ballad", "slow ballad", "soft ballad"), moods=("tender", "sad", "emotional"),
          tempo=(60, 84), meters=(4, 3, 6), kits=("acoustic drums",), groove="half time",
          bass=("electric bass",), bass_line="roots", chords=("piano", "acoustic guitar"),
          chord_pattern="arpeggio", pads=("strings",), leads=("flute", "strings"), percussion=0.1),
    Style(name="folk", words=("folk", "acoustic folk", "country folk"), moods=("warm", "gentle", "pastoral"),
          tempo=(84, 138), meters=(4, 3, 2, 6), kits=("acoustic drums",), groove="backbeat",
          bass=("electric bass",), bass_line="roots", chords=("acoustic guitar",), chord_pattern="strum",
          pads=("strings",), leads=("flute",), percussion=0.4, major=0.7),
    Style(name="march", words=("march", "parade march"), moods=("proud", "ceremonial", "bold"),
          tempo=(96, 132), meters=(2, 2, 6), kits=("acoustic drums",), groove="driving",
          bass=("electric bass",), bass_line="roots", chords=("brass", "piano"), chord_pattern="oom pah",
          pads=("strings",), leads=("brass", "flute"), percussion=0.2, major=0.8),
    Style(name="funk", words=("funk", "disco funk", "groovy funk"), moods=("groovy", "playful", "energetic"),
          tempo=(92, 124), meters=(4,), kits=("acoustic drums", "electronic drums"), groove="break",
          bass=("electric bass", "synth bass"), bass_line="syncopated", chords=("organ", "acoustic guitar"),
          chord_pattern="stabs", pads=("strings",), leads=("brass", "synth lead"), percussion=0.4, major=0.5),
    Style(name="drum and bass", words=("drum and bass", "breakbeat", "jungle"), moods=("fast", "urgent", "futuristic"),
          tempo=(160, 180), meters=(4,), kits=("electronic drums",), groove="break",
          bass=("synth bass",), bass_line="roots", chords=("piano", "organ"),
          chord_pattern="lazy", pads=("synth pad",), leads=("synth lead", "flute"), percussion=0.2, major=0.2),
    Style(name="ambient", words=("ambient", "drone", "meditative ambient"), moods=("calm", "spacious", "dreamy"),
          tempo=(60, 90), meters=(4, 3), kits=("electronic drums",), groove="none",
          bass=("synth bass",), bass_line="roots", chords=("piano", "synth lead"), chord_pattern="arpeggio",
          pads=("synth pad", "strings"), leads=("flute", "synth lead"), percussion=0.0),
    Style(name="orchestral", words=("orchestral", "cinematic", "film score"), moods=("epic", "heroic", "dramatic"),
          tempo=(72, 140), meters=(4, 3, 6), kits=("acoustic drums",), groove="none",
          bass=("electric bass",), bass_line="eighths", chords=("strings",), chord_pattern="eighths",
          pads=("strings",), leads=("brass", "flute"), percussion=0.3, major=0.4),
)  # fmt: skip
