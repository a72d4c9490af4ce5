"""What each function may do, and the policy files that say so to AWS."""
