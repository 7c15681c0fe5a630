"""A model of the whole system: how many songs which machines make, and how long callers wait."""
