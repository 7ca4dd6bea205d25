"""Address spaces: what a page-table entry says, what a walk decides, and which translations may be stale."""
