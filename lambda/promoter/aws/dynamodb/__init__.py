"""The function's DynamoDB table."""
