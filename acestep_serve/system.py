"""What a system on one machine consists of, and what must hold before it starts."""

import json
import re
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from acestep_serve.child import Service
from model_store import inventory
from model_store.released import Kind

HOST = "127.0.0.1"
GRACE_S = 30.0
"""How long each service lets calls finish: whoever presses Ctrl-C is waiting."""

TLS_SETTING = re.compile(r"ACESTEP_(GATEWAY|LM|DIT)_(STAGE_)?TLS_")

PREFERRED_DIT = "acestep-v15-turbo"


class NotStartableError(Exception):
    """The system cannot start; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the services listen. Metrics are at `metrics_base`, +1 and +2; 0 for none."""

    gateway: int
    lm: int
    dit: int
    metrics_base: int

    def metrics(self, offset: int) -> int:
        return self.metrics_base + offset if self.metrics_base else 0


@dataclass(frozen=True, slots=True)
class System:
    """Everything that decides how the services are started."""

    models: Path
    device: str
    ports: Ports
    run_dir: Path
    dits: tuple[str, ...]
    """Diffusion models to load; the first is the default one."""

    @property
    def address(self) -> str:
        """Where clients connect."""
        return f"{HOST}:{self.ports.gateway}"

    def to_json(self) -> str:
        return json.dumps(asdict(self), default=str)

    @staticmethod
    def from_json(text: str) -> "System":
        fields = json.loads(text)
        return System(
            models=Path(fields["models"]),
            device=fields["device"],
            ports=Ports(**fields["ports"]),
            run_dir=Path(fields["run_dir"]),
            dits=tuple(fields["dits"]),
        )

    def services(self) -> list[Service]:
        """In the order of stopping: who calls others stops before them."""
        lm, dit = f"{HOST}:{self.ports.lm}", f"{HOST}:{self.ports.dit}"
        return [
            self._service(
                "gateway",
                "gateway",
                self.address,
                {
                    "LM_ADDRESS": lm,
                    "DIT_ADDRESS": dit,
                    "METRICS_PORT": str(self.ports.metrics(0)),
                    "UPLOAD_DIR": str(self.run_dir / "uploads"),
                },
            ),
            self._service(
                "dit",
                "dit_service",
                dit,
                {
                    "MODELS": str(self.models),
                    "DEVICE": self.device,
                    "LOADED_MODELS": ",".join(self.dits),
                    "METRICS_PORT": str(self.ports.metrics(2)),
                },
            ),
            self._service(
                "lm",
                "lm_service",
                lm,
                {
                    "MODELS": str(self.models),
                    "DEVICE": self.device,
                    "CODEC_CONFIG": str(inventory.codec_config(self.models, self.dits[0])),
                    "METRICS_PORT": str(self.ports.metrics(1)),
                },
            ),
        ]

    def _service(self, name: str, module: str, address: str, settings: Mapping[str, str]) -> Service:
        prefix = f"ACESTEP_{name.upper()}_"
        every = {"ADDRESS": address, "GRACE_S": f"{GRACE_S:g}", "METRICS_HOST": HOST, **settings}
        environment = {f"{prefix}{key}": value for key, value in every.items()}
        return Service(name, module, address, environment, self.run_dir / f"{name}.log")


def check_ports(ports: Ports) -> None:
    """Raises `NotStartableError`, naming every port that is taken, or asked for twice."""
    wanted = [(ports.gateway, "--port"), (ports.lm, "--lm-port"), (ports.dit, "--dit-port")]
    wanted += [(port, "--metrics-port-base") for port in map(ports.metrics, range(3)) if port]
    numbers = [port for port, _ in wanted]
    taken = [f"{port} ({option})" for port, option in wanted if numbers.count(port) > 1 or _is_taken(port)]
    if taken:
        raise NotStartableError(f"port taken: {', '.join(taken)}; stop what uses it, or choose another")


def check_environment(environment: Mapping[str, str]) -> None:
    """Raises `NotStartableError` for settings that the services would take, and this system cannot."""
    tls = sorted(name for name, value in environment.items() if value and TLS_SETTING.match(name))
    if tls:
        raise NotStartableError(
            f"on one machine the services speak without TLS: unset {', '.join(tls)},"
            " or start each service by itself (docs/deploy.md)"
        )


def choose_dits(models: Path, asked: tuple[str, ...]) -> tuple[str, ...]:
    """`asked`, or if empty the turbo model, or else the first there is.

    Raises `NotStartableError` if one is not there, or if `models` lacks anything else.
    """
    checkpoints = inventory.of_folder(models)
    lacking = inventory.lacking(checkpoints)
    if lacking:
        raise NotStartableError(f"{models} lacks a complete {', '.join(kind.value for kind in lacking)}")
    complete = [item.name for item in checkpoints if item.kind is Kind.DIT and not item.missing]
    absent = [name for name in asked if name not in complete]
    if absent:
        raise NotStartableError(f"{models} lacks a complete {', '.join(absent)}")
    return asked or ((PREFERRED_DIT,) if PREFERRED_DIT in complete else (complete[0],))


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port just left is free
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False
