"""The README says what is so: its quick start runs, its table is the registry's."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import gpugraph as gg

HERE = Path(__file__).parent.parent
PAGES = {HERE / "README.md": "layers", HERE / "docs" / "operations.md": "converted operations"}
README = HERE / "README.md"


def marks(what):
    """Return what stands around a table that is written here."""
    return f"<!-- {what}: written by tests/test_readme.py -->\n", f"<!-- end of {what} -->"


def table(what):
    """Return the table of layers, or of operations, as the registry has it."""
    by_text = {}
    for name, text in gg.supported_layers().items():
        if name.startswith("ops.") == (what != "layers"):
            by_text.setdefault(text.replace("``", "`"), []).append(name.removeprefix("ops."))
    rows = [f"| {', '.join(names)} | {text} |" for text, names in by_text.items()]
    return "\n".join([f"| {what} | what they become |", "|---|---|", *rows]) + "\n"


@pytest.mark.parametrize(("page", "what"), PAGES.items())
def test_tables_are_the_registrys(page, what):
    text, (start, end) = page.read_text(), marks(what)
    written = text[text.index(start) + len(start) : text.index(end)]
    assert written == table(what), "run: python -m tests.test_readme"


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


def test_the_map_names_every_folder_and_files_that_there_are():
    _, _, after = README.read_text().partition("Where things are in `gpugraph/`:")
    named = set(re.findall(r"`(\w+(?:\.py|/))`", after.partition("Your own layer:")[0]))
    package = HERE / "gpugraph"
    folders = {f"{path.parent.name}/" for path in package.glob("*/*.py")}
    assert folders <= named
    algorithms = {"sweep.py"}  # stands in its folder
    assert all((package / name).exists() for name in named - folders - algorithms)


def main():
    """Write the tables into their pages."""
    for page, what in PAGES.items():
        text, (start, end) = page.read_text(), marks(what)
        before, after = text[: text.index(start) + len(start)], text[text.index(end) :]
        page.write_text(before + table(what) + after)


if __name__ == "__main__":
    main()
