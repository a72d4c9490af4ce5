"""Who may call, and the secrets that sign callbacks."""
