"""`AceStepHandler` as upstream has it; the diffusion model itself lives behind a gateway."""

from acestep.gateway.v1 import music_service_pb2 as pb
from acestep.upstream.arguments import changed
from acestep.upstream.connection import Gateway, initialized, reach, served


class AceStepHandler:
    """Stands for a diffusion model of a gateway, once `initialize_service` has found it."""

    def __init__(self) -> None:
        self.gateway: Gateway | None = None
        self.model = pb.GetCapabilitiesResponse.DitModel()

    def initialize_service(
        self,
        project_root: str,
        config_path: str,
        device: str = "auto",
        use_flash_attention: bool = False,
        compile_model: bool = False,
        offload_to_cpu: bool = False,
        offload_dit_to_cpu: bool = False,
        quantization: str | None = None,
        prefer_source: str | None = None,
        *,
        address: str | None = None,
    ) -> tuple[str, bool]:
        """Connect to the gateway at `address`, and find the model that `config_path` names.

        Returns what there is to say, and whether it succeeded; never raises. Without `address` the
        environment's `ACESTEP_ADDRESS` counts. The other arguments mean nothing here.
        """
        ignored = changed(AceStepHandler.initialize_service, locals(), used=("config_path", "address"))

        def find() -> str:
            gateway = reach(address)
            models = {model.model.name: model for model in gateway.offered.dit_models}
            name = served("diffusion model", config_path, list(models), gateway.address)
            self.gateway, self.model = gateway, models[name]
            return f"Connected to {gateway.address}, model {name}."

        return initialized(find, ignored)
