"""The command line: a file for each command, in the order of --help.

Heavy libraries are loaded inside the commands, so that --help is instant.
"""

# isort: off
from gpugraph.cli.app import app, main
from gpugraph.cli import summary  # noqa: F401
from gpugraph.cli import convert  # noqa: F401
from gpugraph.cli import rank  # noqa: F401
from gpugraph.cli import stats  # noqa: F401
from gpugraph.cli import weights  # noqa: F401
from gpugraph.cli import plot  # noqa: F401
from gpugraph.cli import verify  # noqa: F401
from gpugraph.cli import topology  # noqa: F401
from gpugraph.cli import fcn  # noqa: F401
from gpugraph.cli import doctor  # noqa: F401
from gpugraph.cli import demo  # noqa: F401

__all__ = ["app", "main"]
