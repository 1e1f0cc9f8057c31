"""Data of one's own: a folder of tables, files of statistical agencies, and a builder that makes a data set of them.

Knows data sets (`spatialjax.data`) and nothing of economies.
"""

from spatialjax.sources.folder import read_folder
from spatialjax.sources.folder_writing import write_folder
from spatialjax.sources.template import write_template

__all__ = ["read_folder", "write_folder", "write_template"]
