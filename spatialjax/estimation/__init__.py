"""Estimation: externalities of cities, parameters of the granular economy, and what both rest on."""
