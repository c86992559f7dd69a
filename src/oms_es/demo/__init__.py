"""Worlds to try the engine with: one that is made up from a seed, and one of real baskets."""
