"""Example 9: high-quality generation (base model).

Needs a gateway that serves it: acestep-serve up --dit acestep-v15-base; here, CONFIG_PATH=acestep-v15-base.
"""

from handlers import dit_handler, llm_handler

from acestep.inference import GenerationConfig, GenerationParams, generate_music

params = GenerationParams(
    task_type="text2music",
    caption="intricate jazz fusion with complex harmonies",
    inference_steps=64,  # High quality
    guidance_scale=8.0,
    use_adg=True,  # Adaptive Dual Guidance
    cfg_interval_start=0.0,
    cfg_interval_end=1.0,
    shift=3.0,  # Timestep shift
    seed=42,  # Reproducible results
)

config = GenerationConfig(
    batch_size=1,
    use_random_seed=False,
    audio_format="wav",  # Lossless format
)

result = generate_music(dit_handler, llm_handler, params, config, save_dir="output")

print(result.audios[0]["path"] if result.success else f"Error: {result.error}")
