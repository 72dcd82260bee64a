"""What may go wrong for a user, each with the exit code it leads to (table in `docs/verdicts.md`)."""

from __future__ import annotations


class ConformError(Exception):
    """An error that is told in one sentence, remedy included, without a traceback."""

    exit_code = 3


class UsageError(ConformError):
    """The user asked for something that cannot be: options, files, names, configuration."""

    exit_code = 2


class HarnessError(ConformError):
    """The harness, a broker or a driver failed; never a verdict on a binding."""

    exit_code = 3
