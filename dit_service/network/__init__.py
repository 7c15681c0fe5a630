"""The diffusion transformer: many songs of any length in one pass, none aware of the others."""
