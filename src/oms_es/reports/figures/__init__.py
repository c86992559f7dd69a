"""Reports as data: sources, definitions, the SQL query of a question, and the forms of its answer.

Invariant: the only statements are queries composed of the columns in `sources`; a word of a definition selects among
them, and a value is bound. Amounts of different currencies are kept apart: if there is money, the currency is a
dimension.
Imports: projections, schemas and `reports.queries`.
"""
