"""``python -m benchmarks [NAME …]``: run the named benchmarks, or all."""

import sys
from importlib import import_module

NAMES = ("overhead", "switching", "training", "collections", "dense", "evaluation", "report", "analysis", "retrieval", "late")


def main() -> int:
    """Run, one after the other."""
    wanted = sys.argv[1:] or list(NAMES)
    unknown = [name for name in wanted if name not in NAMES]
    if unknown:
        print(f"unknown benchmark {unknown[0]!r}; expected some of {', '.join(NAMES)}", file=sys.stderr)
        return 2
    for name in wanted:
        import_module(f"benchmarks.{name}").run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
