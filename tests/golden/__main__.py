"""``python -m tests.golden FOLDER``: a line a case, then ``N passed, M failed``; exits with 1 if any failed."""

import sys
from pathlib import Path

from tests.golden.cases import Outcome, run_case


def main(folder: Path) -> int:
    """Run every case below ``folder``."""
    failed = passed = 0
    for case in sorted(folder.glob("*/case.json")):
        try:
            outcome = run_case(case.parent)
        except Exception as error:
            outcome = Outcome(case.parent.name, False, f"{type(error).__name__}: {error}")
        passed, failed = passed + outcome.passed, failed + (not outcome.passed)
        print(f"{'ok  ' if outcome.passed else 'FAIL'} {outcome.name}: {outcome.said}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
