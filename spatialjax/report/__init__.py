"""Reports: one self-contained HTML page of what is in a run's folder."""
