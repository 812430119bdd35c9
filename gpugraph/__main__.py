"""``python -m gpugraph``: the command line."""

from gpugraph.cli import main

main()
