"""The two handlers that the examples share, connected to a running gateway.

This file is what differs from a program that loads the models itself. The gateway's address is in
the environment's ACESTEP_ADDRESS, or it is localhost:50050.
"""

import os
import sys

from acestep.handler import AceStepHandler
from acestep.llm_inference import LLMHandler

dit_handler = AceStepHandler()
llm_handler = LLMHandler()

# An empty name asks for the model that is served; a name, such as acestep-5Hz-lm-1.7B, for that one.
config_path = os.environ.get("CONFIG_PATH", "acestep-v15-turbo")
for status, done in (
    dit_handler.initialize_service(project_root="", config_path=config_path),
    llm_handler.initialize(checkpoint_dir="", lm_model_path=""),
):
    if not done:
        sys.exit(status)
