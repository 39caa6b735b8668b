"""Promote container images in Amazon ECR: put a tag on exactly the bytes that were judged."""
