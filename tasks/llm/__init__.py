"""One client for OpenAI-compatible servers: every paid call of the project goes through one budget with a hard cap."""
