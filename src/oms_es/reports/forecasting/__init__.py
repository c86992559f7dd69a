"""What will be wanted: models of demand, weighed for each series by how right they would have been, and their word.

Pure but for `demand`, which reads the facts. Nothing is drawn by chance: the same history says the same forecast.
"""
