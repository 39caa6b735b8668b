"""The HTTP API as the command line sees it: where it is, who we are there, and what its answers mean."""
