"""Example 2: song generation with lyrics."""

from handlers import dit_handler, llm_handler

from acestep.inference import GenerationConfig, GenerationParams, generate_music

params = GenerationParams(
    task_type="text2music",
    caption="pop ballad with emotional vocals",
    lyrics="""Verse 1:
Walking down the street today
Thinking of the words you used to say
Everything feels different now
But I'll find my way somehow

Chorus:
I'm moving on, I'm staying strong
This is where I belong
""",
    vocal_language="en",
    bpm=72,
    duration=45,
)

config = GenerationConfig(batch_size=1)

result = generate_music(dit_handler, llm_handler, params, config, save_dir="output")

print(result.audios[0]["path"] if result.success else f"Error: {result.error}")
