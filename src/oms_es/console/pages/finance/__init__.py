"""Money: accounts and what of them is reconciled, and the books."""
