"""The use case: a promotion from the request to the record, and what puts interrupted ones right."""
