"""Double precision, where single is too little."""

import jax

from spatialjax.errors import PrecisionError


def require_double_precision(what: str) -> None:
    """Refuse single precision, JAX's default, for what needs double.

    **Raises:** `PrecisionError` unless `jax_enable_x64` is on.
    """
    if not jax.config.jax_enable_x64:  # type: ignore[attr-defined]
        raise PrecisionError(f'no {what} in single precision: call jax.config.update("jax_enable_x64", True) first')
