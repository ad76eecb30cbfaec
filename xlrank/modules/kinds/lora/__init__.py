"""Low-rank updates of linear layers (LoRA, Hu et al., ICLR 2022)."""
