"""What holds for the whole run."""

import signal


def pytest_configure() -> None:
    """In the background of a shell Ctrl-C is ignored, and what is started here would inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
