"""What a scene looks like: light, world and background, as YAML that a user edits. Data only."""
