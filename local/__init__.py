"""AWS on this machine: an emulator with Amazon ECR's own rules, a scanner and a switch for faults."""
