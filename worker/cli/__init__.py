"""The commands, a module each: one is imported when it is called."""
