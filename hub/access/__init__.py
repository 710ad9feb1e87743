"""Who may do what with the hub: users, tokens, sessions, the guard in front of every route, and the audit."""
