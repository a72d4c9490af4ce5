"""What each function may do, and the IAM policy files for it."""
