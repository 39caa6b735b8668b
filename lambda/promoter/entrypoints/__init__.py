"""What calls the functions: events of images, the table's stream, runs of reconcile, HTTP."""
