"""Read models for figures: facts at the grain at which they are counted, several streams side by side.

What is heard late changes the row of the thing that it is about, and so corrects the period that this belongs to.
Imports: schemas, kernel and `projections.base`.
"""
