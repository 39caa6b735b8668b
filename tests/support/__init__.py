"""What several kinds of test build on."""
