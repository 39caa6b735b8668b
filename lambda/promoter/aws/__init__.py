"""Adapters: the ports of the domain on AWS services."""
