"""Quick Start: the models live behind the gateway at ACESTEP_ADDRESS; all else is as upstream has it."""

from acestep.handler import AceStepHandler
from acestep.inference import GenerationConfig, GenerationParams, generate_music
from acestep.llm_inference import LLMHandler

# Initialize handlers
dit_handler = AceStepHandler()
llm_handler = LLMHandler()

# Initialize services: connects, and says what means nothing here
print(
    dit_handler.initialize_service(
        project_root="/path/to/project",
        config_path="acestep-v15-turbo",
        device="cuda",
    )
)
print(
    llm_handler.initialize(
        checkpoint_dir="/path/to/checkpoints",
        lm_model_path="",  # the one that is served; or a name, such as acestep-5Hz-lm-1.7B
        backend="vllm",
        device="cuda",
    )
)

# Configure generation parameters
params = GenerationParams(
    caption="upbeat electronic dance music with heavy bass",
    bpm=128,
    duration=30,
)

# Configure generation settings
config = GenerationConfig(
    batch_size=2,
    audio_format="flac",
)

# Generate music
result = generate_music(dit_handler, llm_handler, params, config, save_dir="output")

# Access results
if result.success:
    for audio in result.audios:
        print(f"Generated: {audio['path']}")
        print(f"Key: {audio['key']}")
        print(f"Seed: {audio['params']['seed']}")
else:
    print(f"Error: {result.error}")
