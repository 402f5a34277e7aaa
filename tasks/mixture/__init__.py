"""From chunks and dialogues to the one training table, the proof that no question leaked into it, and its report."""
