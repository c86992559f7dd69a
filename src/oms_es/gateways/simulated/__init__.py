"""Simulators of a payment provider, a carrier and a warehouse; they move no money and no goods.

Imports: the ports, and the store for their state.
"""
