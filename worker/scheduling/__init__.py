"""When checks run, and what holds them back."""
