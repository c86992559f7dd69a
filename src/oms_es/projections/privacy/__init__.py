"""Read models for those who answer for the protection of personal data.

Imports: kernel, schemas, `projections.base`.
"""
