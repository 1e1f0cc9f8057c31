"""Settings that have to be made before JAX is imported: import this first.

Processes that a part starts inherit them.
"""

import os

SETTINGS = {
    # As the command line does: LAPACK's threads and XLA's wait for each other busily. NumPy is bound by it too.
    "OPENBLAS_NUM_THREADS": "1",
    # An accelerator's memory is taken as it is needed, so that its peak says something.
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    "JAX_ENABLE_X64": "1",
}

for _name, _value in SETTINGS.items():
    os.environ.setdefault(_name, _value)
