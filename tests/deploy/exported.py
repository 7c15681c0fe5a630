"""The names of every sample that the services export."""

import runpy
from pathlib import Path

METRICS_TABLE = Path(__file__).parents[2] / "scripts/metrics-table"


def samples() -> set[str]:
    metrics = runpy.run_path(str(METRICS_TABLE))["exported"]()
    return {sample for metric in metrics for sample in metric.samples}
