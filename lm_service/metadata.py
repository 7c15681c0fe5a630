"""What is known of a song as text, while it is inside this service."""

from dataclasses import dataclass

PLAN_FIELDS = ("bpm", "caption", "duration", "keyscale", "language", "timesignature")
"""The fields of a plan, in the order in which the model writes them. Source: spec lm.md 2.9.

The order is alphabetical, so it is also the order of the metadata block in prompts.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """The fields of a song, each absent or valid."""

    bpm: int | None = None
    caption: str | None = None
    duration_s: float | None = None
    keyscale: str | None = None
    language: str | None = None
    timesignature: str | None = None
    genres: str | None = None

    def text(self, name: str) -> str | None:
        """The value of the field that the model calls `name`, as the model would write it.

        The model counts whole seconds; a fraction is cut off. Source: spec lm.md 6.1.
        """
        value: object = self.duration_s if name == "duration" else getattr(self, name)
        if value is None:
            return None
        return str(int(value)) if isinstance(value, float) else str(value)
