"""The city economy: Eaton-Kortum trade, CES labour, Frechet location choice, externalities.

Sources: "Cognitive Hubs and Spatial Redistribution" (CH) and "Local Industrial Policy and Sectoral
Hubs" (SH). One file holds one market or one question asked of the economy.
"""
