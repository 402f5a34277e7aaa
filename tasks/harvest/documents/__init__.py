"""Documents beside a repository: pages of office formats, PDF and Markdown, and conversations from mail and exports."""
