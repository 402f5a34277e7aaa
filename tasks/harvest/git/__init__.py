"""Reading git repositories: local ones through views, remote ones through mirrors, hostile ones without harm."""
