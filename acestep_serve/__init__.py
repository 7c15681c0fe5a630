"""The command `acestep-serve`."""
