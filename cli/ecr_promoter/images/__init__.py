"""Images as Amazon ECR has them, read with the user's own rights, and what differs between two of them."""
