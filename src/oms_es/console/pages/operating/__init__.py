"""Pages for operators beside orders: verification, keys and what-if runs."""
