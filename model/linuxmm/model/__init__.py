"""The kernel as pure state transitions, by area."""
