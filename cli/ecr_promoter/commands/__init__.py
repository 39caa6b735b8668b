"""One file for each command, or for a few that belong together: options -> calls of the API -> what is shown."""
