"""Solvers and linear algebra. Nothing in here knows any economics."""
