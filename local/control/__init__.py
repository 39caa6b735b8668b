"""The routes under `/_local/`: finish scans, inject faults, list calls, and what else AWS does by itself."""
