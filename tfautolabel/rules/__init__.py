"""Rules: weak label sources, what they say together, and label models that turn votes into labels."""
