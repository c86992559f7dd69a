"""A simulated week of a shop, and a replay of a real data set. Imports: app and below."""
