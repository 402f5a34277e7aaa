"""Small repositories, one per language, whose facts are known by heart."""
