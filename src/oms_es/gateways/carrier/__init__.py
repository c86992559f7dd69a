"""Carriers: the port that every carrier implements, and the carriers. Imports: schemas and kernel."""
