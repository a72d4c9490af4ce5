"""Check a stage and suggest fixes."""
