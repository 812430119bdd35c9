"""Run benchmarks and keep their figures: ``python -m benchmarks [name ...]``.

Figures go to ``benchmarks/results/cpu.json``, those of the named benchmarks only where some are
named.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks import (
    analysis,
    conversion,
    distributed,
    edges,
    files,
    libraries,
    quotient,
    spectral,
)
from benchmarks.measure import machine

BENCHMARKS = {
    "conversion": conversion,
    "edges": edges,
    "libraries": libraries,
    "files": files,
    "distributed": distributed,
    "analysis": analysis,
    "quotient": quotient,
    "spectral": spectral,
}
RESULTS = Path(__file__).parent / "results" / "cpu.json"


def main(names: list[str]) -> None:
    unknown = set(names) - set(BENCHMARKS)
    if unknown:
        sys.exit(f"No benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}.")
    RESULTS.parent.mkdir(exist_ok=True)
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in names or BENCHMARKS:
        figures = BENCHMARKS[name].run()
        print(json.dumps({name: figures}, indent=2), flush=True)
        results[name] = {"machine": machine(), **figures}
        RESULTS.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
