"""Workhorse models of the field as special cases of the city economy: the same blocks, solver and derivatives.

Nothing here solves anything: data and parameters of a model become an [`Economy`][spatialjax.Economy].
"""
