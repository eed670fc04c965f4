"""The worker: schedules the checks and shows what they find. Knows time, process and the world."""
