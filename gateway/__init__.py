"""The gateway: composes the stages into songs. The one door for users."""
