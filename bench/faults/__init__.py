"""What happens to songs when processes, networks, disks, clocks and callers misbehave."""
