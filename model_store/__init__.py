"""Checkpoints on disk: fetching released ones, listing them, and building the tiny family."""
