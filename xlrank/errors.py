"""The one exception a user should ever see: a single line that names the culprit and says how to mend it."""


class XlrankError(Exception):
    """Bad input, a missing file, or an environment that cannot do what was asked.

    The message is one line: what is wrong (file and line, or argument), what was expected, how to mend it.
    The command line prints it after ``xlrank: `` and exits with 2.
    """
