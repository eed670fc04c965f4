"""How `balance` adds up and compares: its statements, its questions, the sums that it keeps."""
