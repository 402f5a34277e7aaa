"""Models and torch: the child runner, the base model, generation, merge and export. Imported by rooms; imports only
`tasks.base`.
"""
