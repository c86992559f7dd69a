"""Events and commands of finance: statements of accounts, and what they are reconciled with.

Imports: values and kernel.
"""
