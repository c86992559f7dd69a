"""Reports as data: what they are made of, their definitions, the select that each comes to, and its picture.

Invariant: the only statements are selects put together of the columns in `sources`; a word of a definition chooses
among them, and a value is bound. Amounts stay apart by currency: where there is money, the currency is a dimension.
"""
