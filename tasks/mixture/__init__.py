"""From chunks and dialogues to the training table, the proof that nothing leaked, and its report."""
