"""One client for OpenAI-compatible servers; every paid call goes through one capped budget."""
