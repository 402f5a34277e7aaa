"""From harvested documents to clean, split, budget-sized text: filter, redact, deduplicate, split, render, chunk."""
