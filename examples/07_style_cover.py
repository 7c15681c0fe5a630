"""Example 7: style cover with LM reasoning, of a file original_pop_song.mp3 in the current folder."""

from handlers import dit_handler, llm_handler

from acestep.inference import GenerationConfig, GenerationParams, generate_music

params = GenerationParams(
    task_type="cover",
    src_audio="original_pop_song.mp3",
    caption="orchestral symphonic arrangement",
    audio_cover_strength=0.7,
    thinking=True,  # Enable LM for metadata
    use_cot_metas=True,
)

config = GenerationConfig(batch_size=1)

result = generate_music(dit_handler, llm_handler, params, config, save_dir="output")

print(result.audios[0]["path"] if result.success else f"Error: {result.error}")

# Access LM-generated metadata. A cover follows its source: the LM is not asked, here as upstream.
if result.extra_outputs.get("lm_metadata"):
    lm_meta = result.extra_outputs["lm_metadata"]
    print(f"LM detected BPM: {lm_meta.get('bpm')}")
    print(f"LM detected Key: {lm_meta.get('keyscale')}")
