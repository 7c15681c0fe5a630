"""What holds for the whole run."""

import signal


def pytest_configure() -> None:
    """A shell that starts the run in its background has Ctrl-C ignored, which programs started here inherit."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
