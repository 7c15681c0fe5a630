"""The thread that owns the device: it takes jobs on by rounds, and does together what goes together."""

import asyncio
import contextvars
import logging
import threading
import time
import traceback
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

from dit_service import metrics
from dit_service.batch_spans import BatchSpans
from dit_service.due import Due
from dit_service.engine import Progress

logger = logging.getLogger(__name__)


class Listener(Protocol):
    """Hears of a job on the event loop."""

    def saw(self, event: Any) -> None: ...

    def ended(self, error: BaseException | None, seconds: float) -> None: ...


@dataclass(eq=False, slots=True)
class Errand:
    """A job as the thread sees it."""

    steps: Generator[Any, None, None]
    listener: Listener
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    abandoned: threading.Event = field(default_factory=threading.Event)
    # The caller's request id goes along to the thread, and from there into its log lines.
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    began_at: float = 0.0
    due: Due | None = None
    error: BaseException | None = None


class Rounds:
    """In a round every job goes one piece of work on, then what they wait for is done together.

    So a song that is conditioned or decoded holds up the steps of the others by one piece, and a
    song joins and leaves between two steps.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="device")
        self._lock = threading.Lock()
        self._joining: list[Errand] = []
        self._awake = False
        self._spans = BatchSpans()

    def join(self, errand: Errand) -> None:
        errand.began_at = time.monotonic()
        with self._lock:
            self._joining.append(errand)
            asleep, self._awake = not self._awake, True
        if asleep:
            self._thread.submit(self._work)

    def close(self) -> None:
        """Wait until the running jobs have ended, then end the thread."""
        self._thread.shutdown()

    def _work(self) -> None:
        """Until no job is left. On the device's thread, like all that follows."""
        metrics.DEVICE_BUSY.set(1)
        errands = self._with_joining([])
        while errands:
            running = [errand for errand in errands if _goes_on(errand)]
            groups = _due_together(running)
            self._spans.together({key: [each.context for each in group] for key, group in groups.items()})
            _do(groups)
            ended = [errand for errand in errands if errand not in running]
            errands = self._with_joining(running)
            for errand in ended:
                seconds = time.monotonic() - errand.began_at
                errand.loop.call_soon_threadsafe(errand.listener.ended, errand.error, seconds)

    def _with_joining(self, errands: list[Errand]) -> list[Errand]:
        with self._lock:
            errands, self._joining = errands + self._joining, []
            if not errands:
                self._awake = False
                metrics.DEVICE_BUSY.set(0)
        return errands


def _goes_on(errand: Errand) -> bool:
    """Take `errand` one piece further. False once it has ended, has failed or is abandoned."""
    try:
        return errand.context.run(_advance, errand)
    except BaseException as caught:  # noqa: BLE001  # its caller, on another thread, gets it
        # Where it was raised is told, but what the job held of the device there is let go at once.
        traceback.clear_frames(caught.__traceback__)
        errand.error = caught
        return False


def _advance(errand: Errand) -> bool:
    """Until it waits for work that is due, or has done a piece of work alone: a step of progress.

    What is told beside it is no work, and would cost a round each; nor does the last step of a
    phase end a turn, or a song that is done would wait for the others' next step.
    """
    if errand.abandoned.is_set():
        errand.steps.close()
        return False
    # What was due is done: the progress that tells so is no piece of work.
    was_due, errand.due = errand.due is not None, None
    while (event := next(errand.steps, None)) is not None:
        if isinstance(event, Due):
            errand.due = event
            return True
        errand.loop.call_soon_threadsafe(errand.listener.saw, event)
        if isinstance(event, Progress):
            if not was_due and not event.ends_phase:
                return True
            was_due = False
    errand.steps.close()
    return False


def _due_together(errands: list[Errand]) -> dict[object, list[Errand]]:
    groups: dict[object, list[Errand]] = {}
    for errand in errands:
        if errand.due is not None:
            groups.setdefault(errand.due.group, []).append(errand)
    return groups


def _do(groups: dict[object, list[Errand]]) -> None:
    for group in groups.values():
        started = time.monotonic()
        due = [errand.due for errand in group if errand.due is not None]
        try:
            due[0].do_together(due)
        except Exception:
            # Each job does its own alone when it goes on, and hears of its own failure then.
            logger.exception("%d jobs could not go on together", len(group))
        metrics.BATCH_SIZE.observe(len(group))
        metrics.STEP_SECONDS.observe(time.monotonic() - started)
