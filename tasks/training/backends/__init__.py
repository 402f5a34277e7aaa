"""The trainers: rawtune's own loop, TRL's and Unsloth's; imported by children, when used."""
