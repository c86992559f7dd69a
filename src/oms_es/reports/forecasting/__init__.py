"""Forecasts of demand: several models, combined for each series by the errors that they would have had in the past.

Pure but for `demand`, which reads the fact tables. Nothing is random: the same history gives the same forecast.
Imports: `reports.figures`, projections.
"""
