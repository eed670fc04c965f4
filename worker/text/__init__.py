"""Text for people and machines: what may be shown, and how."""
