"""What the code says of each service, for comparing what is deployed with it."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.server import LIVENESS
from common.settings import load

ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True, slots=True)
class Service:
    """A service, by the name that its image, its container and its Deployment have."""

    name: str
    package: str
    prefix: str
    health_name: str

    def settings(self, environment: Mapping[str, str]) -> Any:
        """The settings that it would start with. Raises `SettingsError` as it would."""
        settings_type = importlib.import_module(f"{self.package}.settings").Settings
        return load(settings_type, self.prefix, environment)

    @property
    def health_names(self) -> set[str]:
        """Every name that its health is asked by with success."""
        return {"", LIVENESS, self.health_name}


SERVICES = {
    service.name: service
    for service in (
        Service("gateway", "gateway", "ACESTEP_GATEWAY", "acestep.gateway.v1.MusicService"),
        Service("lm-service", "lm_service", "ACESTEP_LM", "acestep.lm.v1.LmService"),
        Service("dit-service", "dit_service", "ACESTEP_DIT", "acestep.dit.v1.DitService"),
    )
}


def port_of(address: str | None) -> int:
    assert address is not None
    return int(address.rpartition(":")[2])
