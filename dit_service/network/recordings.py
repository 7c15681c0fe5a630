"""Passes that the host only has to start: compiled layers, recorded as CUDA graphs.

What a graph reads lies in one place, the `Desk`, at which every graph reads a part of its own size. So
a pass of a known size is: lay its rows on the desk, replay. Sizes are rounded up, and what lies beyond
the rows is heard by none: a song's velocity does not depend on what fills the rest.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from weakref import ref

import torch
from torch import Tensor

from dit_service.network.attention import Spans, spans
from dit_service.network.block import Around, Heard
from dit_service.network.compiling import for_all_sizes
from dit_service.network.recorder import Recorder
from dit_service.network.sizes import Sizes
from dit_service.network.transformer import DiffusionTransformer, Packed, Row, around, told_apart

MAX_TOKENS = 4096
"""Of a recorded pass. More keep a GPU so busy that the host is ahead of it anyway."""
MAX_HEARD = 6144
"""Tokens of conditions in a recorded pass."""
MAX_ROWS = 16
ROW_COUNTS = (1, 4, MAX_ROWS)
STEP = 128
"""Sizes are rounded up to multiples of this: matrix products take so many tokens at once."""
SHORTEST = 512
"""Tokens that the longest row of a batch counts as at least; more are rounded up to twice, four times ...
as many. Coarse, so that batches have few sizes: places where no row reaches cost next to nothing, a
recording as much as many passes."""
TIMES = 2
"""That a size is met before it is recorded, the recording included."""
KEPT = 96
"""Graphs. They share their memory; each has some MiB of its own. With fewer than there are sizes at work,
batches that change with every song that comes or ends would be recorded over and over."""


@dataclass(frozen=True, slots=True)
class Size:
    """What a graph is made for; rows that are smaller leave the rest alone."""

    asked: int
    """Tokens of rows that hear a condition."""
    others: int
    """Tokens of the other rows."""
    longest: int
    rows: int
    """Of each kind."""


class Desk:
    """Where passes are laid for graphs to read, and what they leave there."""

    def __init__(self, network: DiffusionTransformer) -> None:
        sizes, device, dtype = network.sizes, network.device, network.dtype
        layers = len(sizes.sliding)

        def zeros(*shape: int, kind: torch.dtype = dtype) -> Tensor:
            return torch.zeros(shape, device=device, dtype=kind)

        self.network = network
        self.patches = zeros(MAX_TOKENS, sizes.patch * sizes.frame_width)
        self.embeddings = zeros(MAX_ROWS, sizes.hidden)
        self.projections = zeros(MAX_ROWS, 6, sizes.hidden)
        self.owners = zeros(MAX_TOKENS, kind=torch.int64)
        self.cosines, self.sines = (
            zeros(MAX_TOKENS, 1, sizes.head_width // 2, kind=torch.float32) for _ in range(2)
        )
        self.keys, self.values = (
            zeros(layers, MAX_HEARD, sizes.key_heads, sizes.head_width) for _ in range(2)
        )
        self.row_edges = zeros(2 * MAX_ROWS + 2, kind=torch.int32)
        self.asked_edges = zeros(MAX_ROWS + 1, kind=torch.int32)
        self.heard_edges = zeros(MAX_ROWS + 1, kind=torch.int32)
        self.flows = zeros(MAX_TOKENS, sizes.patch * sizes.channels, kind=torch.float32)
        self._laid: tuple[object, ...] = ()
        self._heard: list[ref[Heard]] = []

    def at(self, size: Size) -> Packed:
        """The part that a graph of this size reads."""
        tokens, rows = size.asked + size.others, size.rows
        all_rows = 2 * rows + 1 if size.others else rows
        return Packed(
            patches=self.patches[:tokens],
            embeddings=self.embeddings,
            projections=self.projections,
            heard=Heard(self.keys, self.values),
            around=Around(
                rows=Spans(self.row_edges[: all_rows + 1], size.longest),
                asked_rows=Spans(self.asked_edges[: rows + 1], size.longest),
                heard=Spans(self.heard_edges[: rows + 1], MAX_HEARD),
                asked_tokens=size.asked,
                rotation=(self.cosines[:tokens], self.sines[:tokens]),
                owners=self.owners[:tokens],
            ),
        )

    def lay(self, rows: Sequence[Row], size: Size) -> list[slice]:
        """Put `rows` where a graph of this size reads them; returns their places."""
        network = self.network
        patches = [network.patches(row.frames) for row in rows]
        moments, which = told_apart(rows)
        for place, moment in enumerate(moments):
            self.embeddings[place].copy_(moment.embedding)
            self.projections[place].copy_(moment.projection)
        lengths = tuple(len(patch) for patch in patches)
        hearing = tuple(row.heard for row in rows if row.heard is not None)
        self._arrange(lengths, tuple(heard.length for heard in hearing), which, size)
        self._hear(hearing)
        places, at = [], 0
        for patch, row in zip(patches, rows, strict=True):
            if row.heard is None and at < size.asked:
                at = size.asked
            places.append(slice(at, at + len(patch)))
            self.patches[places[-1]].copy_(patch)
            at += len(patch)
        return places

    def _arrange(
        self, lengths: tuple[int, ...], heard: tuple[int, ...], which: tuple[int, ...], size: Size
    ) -> None:
        """Tell where rows begin and what belongs to which; the same from step to step, mostly."""
        laid = lengths, heard, which, size
        if laid == self._laid:
            return
        self._laid = ()  # what ends half-way, for want of memory, has laid neither
        device = self.network.device
        asked, others = lengths[: len(heard)], lengths[len(heard) :]
        filled = _filled(asked, size.rows)
        if others:  # after what lies between the two kinds, which is nobody's row
            filled = (*filled, size.asked - sum(asked), *_filled(others, size.rows))
        self.row_edges[: len(filled) + 1].copy_(spans(filled, device).edges)
        self.asked_edges[: size.rows + 1].copy_(spans(_filled(asked, size.rows), device).edges)
        self.heard_edges[: size.rows + 1].copy_(spans(_filled(heard, size.rows), device).edges)
        for part, moments, start in (
            (asked, which[: len(asked)], 0),
            (others, which[len(asked) :], size.asked),
        ):
            if part:
                told = around(part, part, moments, self.network.sizes, device)
                where = slice(start, start + sum(part))
                assert told.owners is not None
                self.owners[where].copy_(told.owners)
                self.cosines[where].copy_(told.rotation[0])
                self.sines[where].copy_(told.rotation[1])
        self._laid = laid

    def _hear(self, hearing: tuple[Heard, ...]) -> None:
        """Lay what the rows hear, unless it lies there from the step before."""
        lying = [heard() for heard in self._heard]
        if len(lying) == len(hearing) and all(new is old for new, old in zip(hearing, lying, strict=True)):
            return
        self._heard, at = [], 0
        for heard in hearing:
            self.keys[:, at : at + heard.length].copy_(heard.keys)
            self.values[:, at : at + heard.length].copy_(heard.values)
            at += heard.length
        self._heard = [ref(heard) for heard in hearing]


def desk_bytes(sizes: Sizes, dtype: torch.dtype) -> int:
    """What the desk of a network of these sizes takes."""
    with torch.device("meta"):
        desk = Desk(DiffusionTransformer(sizes).to(dtype))
    return sum(part.nbytes for part in vars(desk).values() if isinstance(part, Tensor))


class Recordings:
    """Computes passes of `network`, whose layers it compiles: small ones as recorded graphs."""

    def __init__(
        self, network: DiffusionTransformer, recorder: Recorder | None, backend: str = "inductor"
    ) -> None:
        """`backend` is what torch compiles with. There is no `recorder` for want of a GPU."""
        self._network = network
        self._desk = Desk(network)
        self._graphs: OrderedDict[Size, torch.cuda.CUDAGraph | None] = OrderedDict()
        """`None` for a size that was met once: what is met no more is not worth a recording."""
        self._recorder = recorder
        network.compile_parts(backend)

    def warm(self, token_counts: Sequence[int], guided: bool) -> None:
        """Compile, record passes of a song of so many tokens, and try one that is too long for it."""
        network, sizes = self._network, self._network.sizes
        condition = torch.zeros(STEP, sizes.condition_width, device=network.device, dtype=network.dtype)
        heard = network.heard(condition)
        (moment,) = network.moments([1.0])
        for count in (*token_counts, 2 * MAX_TOKENS):
            frames = torch.zeros(
                count * sizes.patch, sizes.frame_width, device=network.device, dtype=network.dtype
            )
            rows = [Row(frames, moment, heard), Row(frames, moment, None)][: 1 + guided]
            for _ in range(TIMES):
                self(rows)

    def __call__(self, rows: Sequence[Row]) -> list[Tensor]:
        """The flow of each row, `[tokens, patch * channels]`; those that hear a condition come first."""
        size = self._size(rows)
        if size is None:
            counts = [self._network.token_count(row) for row in rows]
            packed = self._network.pack(rows, uniform=True)
            with for_all_sizes():
                return list(torch.split(self._network.flow(packed), counts))
        places = self._desk.lay(rows, size)
        self._compute(size)
        # A copy: the next pass, which may begin before these are read, writes to the same place.
        return [self._desk.flows[place].clone() for place in places]

    def _size(self, rows: Sequence[Row]) -> Size | None:
        """What `rows` are laid as; `None` if they are too many for it."""
        asked = [self._network.token_count(row) for row in rows if row.heard is not None]
        others = [self._network.token_count(row) for row in rows if row.heard is None]
        tokens = _up(sum(asked), STEP), _up(sum(others), STEP)
        most = max(len(asked), len(others))
        heard = sum(row.heard.length for row in rows if row.heard is not None)
        if not asked or sum(tokens) > MAX_TOKENS or most > MAX_ROWS or heard > MAX_HEARD:
            return None
        longest = max(tokens)
        if most > 1:
            longest = min(longest, _doubled(SHORTEST, max(asked + others)))
        return Size(*tokens, longest, next(rows for rows in ROW_COUNTS if rows >= most))

    def _compute(self, size: Size) -> None:
        """What lies on the desk, as a pass of `size`."""
        if (graph := self._graphs.get(size)) is not None:
            graph.replay()
        elif size in self._graphs and self._recorder is not None:
            graph, _ = self._recorder.record(lambda: self._flow(size))
            self._graphs[size] = graph
            graph.replay()
        else:
            # Also what loads the kernels of this size: that cannot be recorded.
            self._graphs[size] = None
            self._flow(size)
        self._graphs.move_to_end(size)
        while len(self._graphs) > KEPT:
            self._graphs.popitem(last=False)

    def _flow(self, size: Size) -> None:
        with for_all_sizes():
            self._desk.flows[: size.asked + size.others].copy_(self._network.flow(self._desk.at(size)))


def _up(count: int, step: int) -> int:
    return -(-count // step) * step


def _doubled(count: int, least: int) -> int:
    """`count`, doubled until it is `least` or more."""
    while count < least:
        count *= 2
    return count


def _filled(lengths: tuple[int, ...], rows: int) -> tuple[int, ...]:
    return (*lengths, *(0 for _ in range(rows - len(lengths))))
