"""People and editors asking a released model: the chat page, the terminal, the endpoint."""
