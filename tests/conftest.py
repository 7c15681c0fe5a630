"""What holds for the whole run."""

import signal

import pytest


def pytest_configure() -> None:
    """In the background of a shell Ctrl-C is ignored, and what is started here would inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """For two processes side by side (`make test`): one runs all that start engines or the system, so that
    these are started once, and the other a folder after the other, with what its tests share."""
    if hasattr(config, "workerinput"):
        for item in items:
            item.add_marker(pytest.mark.xdist_group(_group(item)))
        items.sort(key=lambda item: _group(item) != ENGINE)  # engines take longest, so they begin at once


ENGINE = "engine"


def _group(item: pytest.Item) -> str:
    if item.get_closest_marker(ENGINE):
        return ENGINE
    return item.path.relative_to(item.config.rootpath).parts[1]
