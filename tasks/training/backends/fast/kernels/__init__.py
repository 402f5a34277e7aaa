"""Triton kernels around the products: each reads its input once and leaves it quantised.

Only imported on a GPU (or under Triton's interpreter, in tests). Shapes: T tokens, K columns, all row-major.
"""

from tasks.training.backends.fast.kernels.gates import glu, glu_backward, glu_backward_quantised
from tasks.training.backends.fast.kernels.norms import norm, norm_backward
from tasks.training.backends.fast.kernels.quantising import quantise, tail, weight_tail
from tasks.training.backends.fast.kernels.rotations import rope, rope_backward
from tasks.training.backends.fast.kernels.updates import adamw, cross_entropy, thin_gradient

__all__ = [
    "adamw",
    "cross_entropy",
    "glu",
    "glu_backward",
    "glu_backward_quantised",
    "norm",
    "norm_backward",
    "quantise",
    "rope",
    "rope_backward",
    "tail",
    "thin_gradient",
    "weight_tail",
]
