"""`LLMHandler` as upstream has it; the language model itself lives behind a gateway."""

from typing import Any

from acestep.upstream.arguments import changed
from acestep.upstream.connection import Gateway, initialized, reach, served


class LLMHandler:
    """Stands for the language model of a gateway, once `initialize` has found it."""

    def __init__(self, persistent_storage_path: str | None = None) -> None:
        """`persistent_storage_path` means nothing here: nothing is stored."""
        self.gateway: Gateway | None = None
        self.model = ""

    @property
    def llm_initialized(self) -> bool:
        """Whether there is a model to ask."""
        return self.gateway is not None

    def initialize(
        self,
        checkpoint_dir: str,
        lm_model_path: str,
        backend: str = "vllm",
        device: str = "auto",
        offload_to_cpu: bool = False,
        dtype: Any = None,
        *,
        address: str | None = None,
    ) -> tuple[str, bool]:
        """Connect to the gateway at `address`, and find the model that `lm_model_path` names.

        Returns what there is to say, and whether it succeeded; never raises. Without `address` the
        environment's `ACESTEP_ADDRESS` counts. The other arguments mean nothing here.
        """
        ignored = changed(LLMHandler.initialize, locals(), used=("lm_model_path", "address"))

        def find() -> str:
            gateway = reach(address)
            names = [model.name for model in gateway.offered.lm_models]
            self.model = served("language model", lm_model_path, names, gateway.address)
            self.gateway = gateway
            return f"Connected to {gateway.address}, language model {self.model}."

        return initialized(find, ignored)
