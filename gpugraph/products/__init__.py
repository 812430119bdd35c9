"""What a projection's edges do to values, and add up to, without being made."""
