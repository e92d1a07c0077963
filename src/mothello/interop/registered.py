"""Importing this module tells transformers of the house's classes: an export then loads without trust_remote_code."""

from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForMaskedLM

from mothello.interop.modeling_mothello import (
    MothelloConfig,
    MothelloForCausalLM,
    MothelloForMaskedLM,
    MothelloModel,
)

AutoConfig.register(MothelloConfig.model_type, MothelloConfig, exist_ok=True)
AutoModel.register(MothelloConfig, MothelloModel, exist_ok=True)
AutoModelForCausalLM.register(MothelloConfig, MothelloForCausalLM, exist_ok=True)
AutoModelForMaskedLM.register(MothelloConfig, MothelloForMaskedLM, exist_ok=True)
