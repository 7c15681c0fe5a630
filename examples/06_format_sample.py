"""Example 6: format and enhance user input."""

from handlers import dit_handler, llm_handler

from acestep.inference import GenerationConfig, GenerationParams, format_sample, generate_music

# Step 1: Format user input
formatted = format_sample(
    llm_handler=llm_handler,
    caption="rock ballad",
    lyrics="[Verse]\nIn the darkness I find my way...",
)

if formatted.success:
    # Step 2: Generate with enhanced input
    params = GenerationParams(
        caption=formatted.caption,
        lyrics=formatted.lyrics,
        bpm=formatted.bpm,
        duration=formatted.duration,
        keyscale=formatted.keyscale,
        thinking=True,
        use_cot_metas=False,  # Already formatted, skip metas CoT
    )

    config = GenerationConfig(batch_size=2)
    result = generate_music(dit_handler, llm_handler, params, config, save_dir="output")

    for audio in result.audios:
        print(audio["path"])
    if not result.success:
        print(f"Error: {result.error}")
else:
    print(f"Error: {formatted.error}")
