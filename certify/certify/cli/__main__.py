"""``python -m certify.cli``: the same as the command ``certify``."""

from certify.cli import main

main()
