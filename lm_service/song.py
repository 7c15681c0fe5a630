"""What callers may ask of the model, and the jobs that it becomes. Knows no gRPC."""

from dataclasses import dataclass

from common.errors import invalid
from common.music import CODE_RATE_HZ, DEFAULT_DURATION_S, MAX_CODES
from lm_service import prompt
from lm_service.engine import Job, Model, Task
from lm_service.metadata import PLAN_FIELDS, Metadata
from lm_service.outline import Outline, Phase
from lm_service.prompt import Prompt, PromptLayout
from lm_service.sampling import Sampling

LONGEST_PLAN = 640
"""Tokens of the longest plan: a caption of 512 pieces, and the other fields."""

EXPECTED = {
    Phase.PLAN: 200,
    Phase.CODES: int(CODE_RATE_HZ * DEFAULT_DURATION_S),
    Phase.TEXT: 700,
}
"""Tokens of a usual output, for admission: a plan with a caption of some sentences, a song of the default
length whose end the model chooses, a description with lyrics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How a call wants its tokens drawn. All values are valid."""

    sampling: Sampling
    constrained: bool = True
    debug: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    caption: str
    lyrics: str
    fixed: Metadata
    with_caption: bool
    with_language: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """A planned song that needs its codes."""

    caption: str
    lyrics: str
    metadata: Metadata
    code_count: int | None
    """None leaves the end to the model."""
    scale: float
    negative_prompt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A text to write from `prompt`, some of its fields fixed."""

    prompt: Prompt
    fixed: Metadata
    field: str
    """The field of the request that decides how long the prompt is."""


@dataclass(frozen=True, slots=True)
class Jobs:
    """Makes jobs for one model."""

    model: Model
    max_text_tokens: int
    layout: PromptLayout

    def plan(self, plan: Plan, wish: Wish) -> Job:
        """Raises `AceError` (INVALID) if the prompt leaves no room."""
        fixed = _fixed(plan.fixed)
        skipped = [] if plan.with_caption else ["caption"]
        # A language that was given is written even where none would be planned.
        if not plan.with_language and "language" not in dict(fixed):
            skipped.append("language")
        outline = Outline(
            phase=Phase.PLAN, fixed=fixed, skipped=tuple(skipped), constrained=wish.constrained
        )
        return self._text(prompt.plan(plan.caption, plan.lyrics), outline, wish, "lyrics")

    def describe(self, description: Description, wish: Wish) -> Job:
        """Raises `AceError` (INVALID) if the prompt leaves no room."""
        outline = Outline(phase=Phase.TEXT, fixed=_fixed(description.fixed), constrained=wish.constrained)
        return self._text(description.prompt, outline, wish, description.field)

    def codes(self, song: Composition, wish: Wish) -> Job:
        """Raises `AceError` (INVALID) if the codes do not fit behind the prompt."""
        made = prompt.codes(song.caption, song.lyrics, song.metadata, self.layout)
        tokens = prompt.encode(made, self.model.vocabulary)
        unconditional: tuple[int, ...] = ()
        if song.scale > 1:
            led_away = prompt.codes_unconditional(
                song.caption, song.lyrics, song.negative_prompt, self.layout
            )
            unconditional = prompt.encode(led_away, self.model.vocabulary)
        longest = max(len(tokens), len(unconditional))
        room = self._room(longest, song.code_count or 1, "lyrics")
        limit = min(MAX_CODES, room) if song.code_count is None else song.code_count
        outline = Outline(phase=Phase.CODES, code_count=song.code_count)
        return Job(
            prompt=tokens,
            task=Task(
                outline=outline, sampling=wish.sampling, scale=song.scale, unconditional=unconditional
            ),
            # Counted codes end by their count: the end of the turn need not be written.
            max_tokens=limit,
            expected_tokens=song.code_count or min(EXPECTED[Phase.CODES], limit),
            stop_tokens=(self.model.vocabulary.end_of_turn,),
        )

    def _text(self, made: Prompt, outline: Outline, wish: Wish, field: str) -> Job:
        vocabulary = self.model.vocabulary
        tokens = prompt.encode(made, vocabulary)
        room = self._room(len(tokens), min(LONGEST_PLAN, self.max_text_tokens), field)
        stop = [vocabulary.end_of_turn]
        if outline.phase is Phase.PLAN and not outline.constrained:
            stop.append(vocabulary.think_close)  # what follows would be codes, which nobody asked for
        limit = min(self.max_text_tokens, room)
        return Job(
            prompt=tokens,
            task=Task(outline=outline, sampling=wish.sampling),
            max_tokens=limit,
            expected_tokens=min(EXPECTED[outline.phase], limit),
            stop_tokens=tuple(stop),
        )

    def _room(self, prompt_tokens: int, needed: int, field: str) -> int:
        room = self.model.max_model_len - prompt_tokens
        if room < needed:
            raise invalid(
                field,
                f"must leave room for {needed} tokens in the model's {self.model.max_model_len}",
                f"a prompt of {prompt_tokens} tokens",
                "PROMPT_TOO_LONG",
            )
        return room


def _fixed(metadata: Metadata) -> tuple[tuple[str, str], ...]:
    return tuple((name, text) for name in PLAN_FIELDS if (text := metadata.text(name)) is not None)
