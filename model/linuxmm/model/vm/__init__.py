"""Address spaces of processes, as pure state transitions."""
