"""`python -m acestep_serve.background FD READY_S SYSTEM`: what `acestep-serve up --detach` leaves running.

Everything is said to the log, and until all services are ready also to the open file FD.
"""

import os
import sys

from acestep_serve import launch
from acestep_serve.display import Lines
from acestep_serve.run_dir import AlreadyRunningError
from acestep_serve.supervisor import ServiceFailedError, Timing
from acestep_serve.system import NotStartableError, System


def main(announce_fd: int, ready_s: float, system: System) -> int:
    with os.fdopen(announce_fd, "w") as announcements:
        display = Lines(sys.stdout, announcements)

        def on_ready() -> None:
            display.say(launch.READY_MARK)
            display.drop(announcements)
            announcements.close()

        try:
            launch.run(system, Timing(ready_s=ready_s), display, on_ready)
        except (AlreadyRunningError, NotStartableError, ServiceFailedError) as error:
            display.say(str(error))
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), float(sys.argv[2]), System.from_json(sys.argv[3])))
