"""Dialogues about documents: grounded in the text, varied in wording, budgeted and traceable to a line of a commit."""
