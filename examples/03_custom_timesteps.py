"""Example 3: using custom timesteps."""

from handlers import dit_handler, llm_handler

from acestep.inference import GenerationConfig, GenerationParams, generate_music

params = GenerationParams(
    task_type="text2music",
    caption="jazz fusion with complex harmonies",
    # Custom 9-step schedule
    timesteps=[0.97, 0.76, 0.615, 0.5, 0.395, 0.28, 0.18, 0.085, 0],
    thinking=True,
)

config = GenerationConfig(batch_size=1)

result = generate_music(dit_handler, llm_handler, params, config, save_dir="output")

print(result.audios[0]["path"] if result.success else f"Error: {result.error}")
