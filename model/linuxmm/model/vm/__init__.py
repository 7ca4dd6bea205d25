"""Address spaces as Linux keeps them: areas, page tables, faults, copies on write."""
