"""The command line `ecr-promoter`: a client of the HTTP API. It knows nothing of the service's own code."""
