"""Amazon ECR as the service behaves: the JSON API and the registry HTTP API over one store."""
