"""Data sets: what a city economy needs, the embedded ones, and checks that name what is wrong."""
