"""Reads deploy/Dockerfile as far as the tests need it."""

import json
import re
from dataclasses import dataclass, field

from tests.deploy.services import ROOT

TEXT = (ROOT / "deploy/Dockerfile").read_text()


@dataclass(slots=True)
class Stage:
    """What an image inherits and sets; later instructions win."""

    base: str
    environment: dict[str, str] = field(default_factory=dict)
    user: str = "root"
    ports: set[int] = field(default_factory=set)
    entrypoint: list[str] = field(default_factory=list)
    healthcheck: list[str] = field(default_factory=list)
    labels: set[str] = field(default_factory=set)
    copies: list[str] = field(default_factory=list)


def stages() -> dict[str, Stage]:
    found: dict[str, Stage] = {}
    stage = Stage("")
    for line in re.sub(r"\\\n", " ", TEXT).splitlines():
        word, _, rest = line.strip().partition(" ")
        match word:
            case "FROM":
                base, _, name = rest.partition(" AS ")
                inherited = found.get(base, Stage(base))
                stage = found[name] = Stage(
                    base, dict(inherited.environment), inherited.user, entrypoint=inherited.entrypoint
                )
            case "ENV":
                stage.environment |= dict(item.split("=", 1) for item in rest.split())
            case "USER":
                stage.user = rest
            case "EXPOSE":
                stage.ports |= set(map(int, rest.split()))
            case "ENTRYPOINT":
                stage.entrypoint = json.loads(rest)
            case "HEALTHCHECK":
                stage.healthcheck = json.loads(rest.partition("CMD ")[2])
            case "LABEL":
                stage.labels |= set(re.findall(r"([\w.]+)=", rest))
            case "COPY":
                stage.copies.append(rest)
    return found
