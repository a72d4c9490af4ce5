"""Who may call, and what callbacks are signed with."""
