"""Real payment providers and carriers: made as the settings name them, and asked what they have not reported.

Imports: gateways, and whatever the engine is made of.
"""
