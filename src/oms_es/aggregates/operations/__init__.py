"""What people see to: exceptions, and reactions that were put aside.

Imports: schemas and the shared modules of `aggregates`.
"""
