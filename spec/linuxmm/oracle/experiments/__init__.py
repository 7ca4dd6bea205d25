"""The experiments behind the headline claims; importing a module registers its experiment."""
