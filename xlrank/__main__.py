"""``python -m xlrank``."""

from xlrank.cli.main import main

main()
