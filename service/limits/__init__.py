"""Who may use the server, how often, and how much work it takes."""
