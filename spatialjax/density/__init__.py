"""Estimators of "The Urban Density Premium across Establishments" (FF) on panels of establishments."""
