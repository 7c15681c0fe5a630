"""Example 8: batch generation with specific seeds."""

from handlers import dit_handler, llm_handler

from acestep.inference import GenerationConfig, GenerationParams, generate_music

params = GenerationParams(
    task_type="text2music",
    caption="epic cinematic trailer music",
)

config = GenerationConfig(
    batch_size=4,  # Generate 4 variations
    seeds=[42, 123, 456],  # Specify 3 seeds, 4th will be random
    use_random_seed=False,  # Use provided seeds
    lm_batch_chunk_size=2,  # Process 2 at a time (GPU memory)
)

result = generate_music(dit_handler, llm_handler, params, config, save_dir="output")

if result.success:
    print(f"Generated {len(result.audios)} variations")
    for audio in result.audios:
        print(f"  Seed {audio['params']['seed']}: {audio['path']}")
else:
    print(f"Error: {result.error}")
