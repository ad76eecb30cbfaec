"""What AdapterHub's configurations mean: names, defaults, and what xlrank leaves aside or refuses.

Source: ``BnConfig``, ``ADAPTER_CONFIG_MAP`` and ``ACTIVATION_RENAME`` of adapters 1.3.0, and their predecessors in
adapter-transformers 1.1.1 and 2.3.0.
"""

from collections.abc import Mapping
from typing import Any

FLAGS: Mapping[str, str] = {
    "mh_adapter": "attention",
    "output_adapter": "output",
    "original_ln_before": "original_ln_before",
    "original_ln_after": "original_ln_after",
    "ln_before": "ln_before",
    "ln_after": "ln_after",
    "adapter_residual_before_ln": "adapter_residual_before_ln",
    "is_parallel": "parallel",
}
"""AdapterHub's booleans by their name there."""

REQUIRED = ("mh_adapter", "output_adapter", "reduction_factor", "non_linearity")
UNSET: Mapping[str, Any] = {
    "original_ln_before": False,
    "original_ln_after": True,
    "ln_before": False,
    "ln_after": False,
    "is_parallel": False,
    "scaling": 1.0,
    "residual_before_ln": True,
    "adapter_residual_before_ln": False,
    "inv_adapter": None,
    "inv_adapter_reduction_factor": None,
    "leave_out": [],
    "invertible_adapter": None,
}
"""What AdapterHub takes for a key that the file lacks; those in ``REQUIRED`` have no default there either."""

REFUSED = ("use_gating", "cross_adapter")
BOTTLENECK = "bottleneck"
"""Of an adapter's architectures the one that is read; a file that names none means it as well."""
METHODS: Mapping[str, str] = {
    "adapter_plus": "Adapter+",
    "compacter": "Compacter",
    "compacter++": "Compacter++",
    "direft": "DiReFT",
    "dora": "DoRA",
    "dvora": "DVoRA",
    "ia3": "(IA)^3",
    "loreft": "LoReFT",
    "lora": "LoRA",
    "mam": "Mix-and-Match",
    "mtl_lora": "MTL-LoRA",
    "noreft": "NoReFT",
    "prefix_tuning": "prefix tuning",
    "prefix_tuning_flat": "prefix tuning",
    "prompt_tuning": "prompt tuning",
    "reft": "ReFT",
    "unipelt": "UniPELT",
    "union": "a union of several methods",
    "vera": "VeRA",
}
"""AdapterHub's other methods, by what its configurations call them."""
TRAINING: Mapping[str, Any] = {
    "dropout": 0.0,
    "factorized_phm_W": True,
    "factorized_phm_rule": False,
    "hypercomplex_nonlinearity": "glorot-uniform",
    "init_weights": "bert",
    "init_weights_seed": None,
    "learn_phm": True,
    "phm_bias": True,
    "phm_c_init": "normal",
    "phm_dim": 4,
    "phm_init_range": 0.0001,
    "phm_rank": 1,
    "shared_W_phm": False,
    "shared_phm_rule": True,
    "stochastic_depth": 0.0,
}
"""Keys that matter in training only, or only with ``phm_layer``; the values are those that a writer gives."""

FUSION = ("attention_type", "new_attention_norm")
"""Keys of the first 2020 files that belong to AdapterFusion, not to the adapter."""

_PFEIFFER: Mapping[str, Any] = {
    "original_ln_before": True,
    "mh_adapter": False,
    "output_adapter": True,
    "non_linearity": "relu",
    "reduction_factor": 16,
}
_HOULSBY: Mapping[str, Any] = {"mh_adapter": True, "output_adapter": True, "non_linearity": "swish", "reduction_factor": 16}
_PARALLEL: Mapping[str, Any] = {
    **_PFEIFFER,
    "original_ln_before": False,
    "reduction_factor": 2,
    "is_parallel": True,
    "scaling": 4.0,
}
_NICE: Mapping[str, Any] = {"inv_adapter": "nice", "inv_adapter_reduction_factor": 2}
NAMED: Mapping[str, Mapping[str, Any]] = {
    "pfeiffer": _PFEIFFER,
    "seq_bn": _PFEIFFER,
    "pfeiffer+inv": {**_PFEIFFER, **_NICE},
    "seq_bn_inv": {**_PFEIFFER, **_NICE},
    "houlsby": _HOULSBY,
    "double_seq_bn": _HOULSBY,
    "houlsby+inv": {**_HOULSBY, **_NICE},
    "double_seq_bn_inv": {**_HOULSBY, **_NICE},
    "parallel": _PARALLEL,
    "par_bn": _PARALLEL,
}
"""Configurations that a file may name instead of spelling them out."""

ACTIVATIONS = frozenset(
    "gelu gelu_10 gelu_accurate gelu_fast gelu_new gelu_python gelu_python_tanh gelu_pytorch_tanh laplace leaky_relu leakyrelu"
    " linear mish quick_gelu relu relu2 relu6 sigmoid silu swish tanh".split()
)
"""Names in ``transformers.activations.ACT2FN`` without learned parameters, and AdapterHub's own ``leakyrelu``."""

RENAMED = {"gelu_orig": "gelu"}
RENAMED_UNVERSIONED = {"gelu": "gelu_new", "gelu_orig": "gelu"}
"""Before adapter-transformers 3.0 (no ``version`` key), ``gelu`` was the tanh approximation."""

SMALLEST, LARGEST = 1e-6, 1e6


def quoted(value: object) -> str:
    """A value from a file as it may appear in a one-line message: escaped and short."""
    if isinstance(value, dict | list):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    text = ascii(value[:100] if isinstance(value, str) else value)
    return text if len(text) <= 80 else text[:77] + "..."
