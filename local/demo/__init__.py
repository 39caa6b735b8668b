"""`make demo`: promotes images on a local AWS, step by step, and prints what happens."""
