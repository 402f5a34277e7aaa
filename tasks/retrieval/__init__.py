"""Looking things up in the documents of a snapshot, the same for the evaluation's arms and for what a release serves.
Imports text and base.
"""
