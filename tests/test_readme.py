"""The README says what is so: its quick start runs, its table is the registry's."""

import os
import re
import subprocess
import sys
from pathlib import Path

import gpugraph as gg

README = Path(__file__).parent.parent / "README.md"
START, END = "<!-- layers: written by tests/test_readme.py -->\n", "<!-- end of layers -->"


def layer_table():
    """Return the table of layers as the registry has it."""
    by_text = {}
    for name, text in gg.supported_layers().items():
        by_text.setdefault(text.replace("``", "`"), []).append(name)
    rows = [f"| {', '.join(names)} | {text} |" for text, names in by_text.items()]
    return "\n".join(["| layers | what they become |", "|---|---|", *rows]) + "\n"


def test_the_table_of_layers_is_the_registrys():
    text = README.read_text()
    written = text[text.index(START) + len(START) : text.index(END)]
    assert written == layer_table(), "run: python -m tests.test_readme"


def test_the_quick_start_runs(tmp_path):
    code, training, *_ = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len([line for line in code.splitlines() if line and "import" not in line]) <= 10
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", code + training],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    counts, verified, *top, shape, central, recorded = done.stdout.strip().splitlines()
    assert counts == re.search(r"# (\d+ \d+):", code).group(1)
    assert verified.startswith("The graph equals the model on 156 populations")
    assert [line.split("[")[0] for line in top] == ["predictions"] * 3
    assert shape in code
    assert central.startswith("[RankedNode(node=")
    assert len(eval(recorded)) == 1
    assert (tmp_path / "field.graphml").stat().st_size > 1000


def main():
    """Write the table into the README."""
    text = README.read_text()
    before, after = text[: text.index(START) + len(START)], text[text.index(END) :]
    README.write_text(before + layer_table() + after)


if __name__ == "__main__":
    main()
