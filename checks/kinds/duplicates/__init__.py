"""`duplicates` and the prefilter that keeps it quick."""
