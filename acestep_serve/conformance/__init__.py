"""What every deployment must do, as cases that any client can replay: see conformance/README.md."""
