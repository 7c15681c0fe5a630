"""`python -m tests.lm.walks COUNT`: random walks through the grammar, in every mode, on two tokenizers.

A walk draws each token at random from what is allowed. It fails by an exception if it gets stuck,
leaves its phase, or if the parser does not read what was forced or drawn.
"""

import random
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from lm_service import parse
from lm_service.grammar import VALUES, Grammar
from lm_service.metadata import PLAN_FIELDS
from lm_service.outline import Allowed, Codes, Only, Outline, Phase, Text, TextKind
from lm_service.song import LONGEST_PLAN
from lm_service.vocabulary import Vocabulary
from lm_service.writer import Writer
from model_store.tiny import language_model
from tests.lm.golden import FOLDER

MODES = ("plan", "codes", "understand", "create", "format")
LONGEST_PROSE = 400
"""What has no end of its own is left after so many tokens; in service a request's limit ends it."""


@dataclass(slots=True)
class Walk:
    """What was drawn."""

    tokens: list[int] = field(default_factory=list)
    caption: list[int] = field(default_factory=list)
    prose: int = 0
    """Tokens whose end is free: of text after the block, of codes without a count."""


class Walker:
    """Walks through one grammar."""

    def __init__(self, vocabulary: Vocabulary, code_count: int) -> None:
        self.vocabulary = vocabulary
        self.grammar = Grammar(vocabulary, code_count)
        self.window = range(self.grammar.window.first, self.grammar.window.stop)
        self._choices: dict[Text, list[int]] = {}

    def walk(self, outline: Outline, draw: random.Random) -> Walk:
        walk, writer = Walk(), Writer(self.grammar, outline)
        eagerness = draw.choice((0.0, 0.05, 0.3))  # how soon captions and free text end
        while walk.tokens[-1:] != [self.vocabulary.end_of_turn] and walk.prose < LONGEST_PROSE:
            allowed = writer.allowed()
            token = self._token(allowed, draw, eagerness)
            walk.tokens.append(token)
            if isinstance(allowed, Codes):
                walk.prose += allowed.or_end
            elif isinstance(allowed, Text):
                walk.prose += allowed.kind is TextKind.FREE
                if allowed.kind is not TextKind.FREE and token != allowed.then:
                    walk.caption.append(token)
            writer.advance([token])
        return walk

    def _token(self, allowed: Allowed, draw: random.Random, eagerness: float) -> int:
        if isinstance(allowed, Only):
            return draw.choice(allowed.tokens)
        end, eager = self.vocabulary.end_of_turn, draw.random() < eagerness
        if isinstance(allowed, Codes):
            return end if allowed.or_end and eager else draw.choice(self.window)
        if allowed not in self._choices:
            self._choices[allowed] = self.grammar.mask(allowed).nonzero()[0].tolist()
        choices = self._choices[allowed]
        ends = {
            TextKind.CAPTION: self.vocabulary.newline,
            TextKind.CAPTION_LINE: allowed.then,
            TextKind.FREE: end,
        }
        return ends[allowed.kind] if eager and allowed.kind in ends else draw.choice(choices)


def outline_of(mode: str, draw: random.Random) -> Outline:
    """A request of this mode, with some of what its users may fix or skip."""
    if mode == "codes":
        return Outline(phase=Phase.CODES, code_count=draw.choice((None, *range(1, 60))))
    fixable = {"plan": tuple(VALUES), "create": ("language",), "format": tuple(VALUES)}.get(mode, ())
    fixed = tuple((name, draw.choice(VALUES[name])) for name in fixable if draw.random() < 0.4)
    if mode != "plan":
        return Outline(phase=Phase.TEXT, fixed=fixed)
    skippable = {"caption", "language"} - dict(fixed).keys()
    skipped = tuple(name for name in sorted(skippable) if draw.random() < 0.3)
    return Outline(phase=Phase.PLAN, fixed=fixed, skipped=skipped)


def check_codes(walker: Walker, outline: Outline, walk: Walk) -> None:
    """Raises `AssertionError` unless these are codes, as many as were asked for, and the end."""
    codes = [token for token in walk.tokens if token != walker.vocabulary.end_of_turn]
    if walk.prose < LONGEST_PROSE:
        assert codes == walk.tokens[:-1]
    assert all(token in walker.window for token in codes)
    assert outline.code_count in (None, len(codes))


def check_text(walker: Walker, outline: Outline, walk: Walk) -> None:
    """Raises `AssertionError` unless the parser reads exactly what was forced or drawn, all in range."""
    text = walker.vocabulary.decode(walk.tokens)
    block = text.partition("\n</think>")[0] if outline.phase is Phase.TEXT else text
    wanted = [name for name in PLAN_FIELDS if name not in outline.skipped]
    assert list(parse.fields(text)) == wanted
    read, fixed = parse.metadata(text), dict(outline.fixed)
    for name in wanted:
        if name == "caption":
            continue
        assert f"\n{name}: {read.text(name)}" in block
        assert read.text(name) in VALUES[name]
        assert fixed.get(name, read.text(name)) == read.text(name)
    if "caption" in wanted:
        lines = walker.vocabulary.decode(walk.caption).split("\n")
        drawn = " ".join(line.strip() for line in lines if line.strip())
        assert read.caption in (drawn, parse.fields(f"caption: {drawn}")["caption"])
    marks = [token for token in walk.tokens if token in walker.vocabulary.marks.values()]
    vocabulary = walker.vocabulary
    closing = [] if outline.phase is Phase.PLAN else [vocabulary.think_close]
    ended = walk.tokens[-1] == vocabulary.end_of_turn
    assert ended or walk.prose == LONGEST_PROSE
    ending = [vocabulary.end_of_turn] if ended else []
    assert marks == [vocabulary.think_open, *closing, *ending]
    assert len(walk.tokens) - walk.prose <= LONGEST_PLAN


def walk_mode(walker: Walker, mode: str, count: int) -> int:
    """Tokens of `count` walks. Raises `AssertionError` that names the walk."""
    check, token_count = check_codes if mode == "codes" else check_text, 0
    for seed in range(count):
        draw = random.Random(f"{mode} {seed}")
        outline = outline_of(mode, draw)
        walk = walker.walk(outline, draw)
        try:
            check(walker, outline, walk)
        except AssertionError as error:
            raise AssertionError(f"walk {seed} of {mode} went astray: {outline}") from error
        token_count += len(walk.tokens)
    return token_count


def walkers(folder: Path) -> dict[str, Walker]:
    """One on the tokenizer of the vectors, one on the tiny family's, which is built in `folder`."""
    language_model.build(folder / "lm", seed=0)
    return {
        "vectors": Walker(Vocabulary.load(FOLDER / "tokenizer"), 64_000),
        "tiny family": Walker(Vocabulary.load(folder / "lm"), 1000),
    }


def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, walker in walkers(Path(folder)).items():
            for mode in MODES:
                token_count = walk_mode(walker, mode, count)
                sys.stdout.write(f"{name:12} {mode:11} {count} walks, {token_count} tokens\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]))
