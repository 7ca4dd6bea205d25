"""The judge: evidence in, verdict out; adapters for implementations; the command line."""
