"""What the services share: errors, server start and stop, settings, telemetry. Knows no model."""
