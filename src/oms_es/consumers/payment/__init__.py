"""Reactions that move money: requests, captures, refunds, and matching what a provider reports.

Imports: schemas and kernel.
"""
