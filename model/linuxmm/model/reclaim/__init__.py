"""Reclaim as pure state transitions: lists of pages, scanning, refaults, shrinkers and the daemon."""
