"""Example 5: simple mode with create_sample."""

from handlers import dit_handler, llm_handler

from acestep.inference import GenerationConfig, GenerationParams, create_sample, generate_music

# Step 1: Create sample from description
sample = create_sample(
    llm_handler=llm_handler,
    query="energetic K-pop dance track with catchy hooks",
    vocal_language="ko",
)

if sample.success:
    # Step 2: Generate music using the sample
    params = GenerationParams(
        caption=sample.caption,
        lyrics=sample.lyrics,
        bpm=sample.bpm,
        duration=sample.duration,
        keyscale=sample.keyscale,
        vocal_language=sample.language,
        thinking=True,
    )

    config = GenerationConfig(batch_size=2)
    result = generate_music(dit_handler, llm_handler, params, config, save_dir="output")

    print(f"{sample.bpm} bpm, {sample.keyscale}, {sample.language}")
    for audio in result.audios:
        print(audio["path"])
    if not result.success:
        print(f"Error: {result.error}")
else:
    print(f"Error: {sample.error}")
