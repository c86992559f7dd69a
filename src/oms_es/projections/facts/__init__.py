"""Fact tables for reports: one row for each thing that is counted, from several streams.

A late event changes the row of the thing that it is about, and so corrects the period that the thing belongs to.
Imports: schemas, kernel and `projections.base`.
"""
