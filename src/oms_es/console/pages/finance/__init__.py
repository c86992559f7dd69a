"""Pages about money: accounts with their reconciliation, documents, and the books."""
