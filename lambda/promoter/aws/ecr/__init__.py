"""Amazon ECR: images, scan findings, signatures."""
