"""Release room: gate, model card, release folder, Hub, local registry, rollback, export."""
