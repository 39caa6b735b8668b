"""How documents are shown: as tables for people, as JSON, YAML and text for programs."""
