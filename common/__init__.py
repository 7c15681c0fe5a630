"""What the services share: errors, start and stop, settings, telemetry, what may be asked of a song."""
