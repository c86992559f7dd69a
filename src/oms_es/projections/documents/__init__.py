"""Read models of documents: what each is attached to, and the fields of invoices."""
