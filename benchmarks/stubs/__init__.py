"""What answers at once, each in a process of its own, so that its CPU is not counted as ours."""
