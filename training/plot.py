"""Draw the figures that the stages logged: `python -m training.plot docs/micro`."""

import json
import sys
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

FIGURES: dict[str, dict[str, tuple[str, ...]]] = {
    "vae.jsonl": {"codec": ("spectrum", "valid_spectrum")},
    "decoder.jsonl": {"its decoder alone": ("spectrum", "valid_spectrum")},
    "decoder_noise.jsonl": {"on noisier latents": ("spectrum", "valid_spectrum")},
    "codes.jsonl": {"codes": ("latents", "pitches", "begun", "beats")},
    "dit.jsonl": {"base": ("loss",), "turbo": ("loss",)},
    "lm.jsonl": {"language model": ("loss", "valid_generate", "valid_understand")},
}


def main() -> None:
    folder = Path(sys.argv[1])
    panels = [
        (log, title, names)
        for log, parts in FIGURES.items()
        for title, names in parts.items()
        if _rows(folder / log, title)
    ]
    figure = Figure(figsize=(4 * len(panels), 3), layout="constrained")
    for place, (log, title, names) in enumerate(panels, 1):
        axes = figure.add_subplot(1, len(panels), place)
        rows = _rows(folder / log, title)
        for name in names:
            points = [(row["step"], row[name]) for row in rows if name in row]
            axes.plot(*zip(*points, strict=True), label=name)
        axes.set(title=title, xlabel="step", yscale="log")
        axes.legend()
    figure.savefig(folder / "training.png", dpi=80)


def _rows(path: Path, stage: str) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [row for row in rows if "step" in row and row.get("stage", stage) == stage]


if __name__ == "__main__":
    main()
