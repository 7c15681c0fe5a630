"""The DiT service: conditioning, diffusion and the audio codec on one device."""
