"""How a log is followed: contents of files, lines, places, and which file comes after which."""
