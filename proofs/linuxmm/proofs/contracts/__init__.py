"""Contracts that CrossHair has to confirm: each only calls a real function; CONDITIONS lists them."""
