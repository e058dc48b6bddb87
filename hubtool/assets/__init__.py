"""Assets: the files that cards name. Fetched, verified, stored, and read without MindSpore."""
