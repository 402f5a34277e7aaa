"""The steps of the workflow, one room a stage; see README for the map."""
