"""From a configuration file to a folder of results: read, solve, write."""
