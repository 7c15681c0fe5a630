"""The LM service: the 5 Hz language model on vLLM."""
