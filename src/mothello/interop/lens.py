"""A run in TransformerLens (version 4), with all hooks of a TransformerBridge. The house does not depend on it."""

from typing import Any

from mothello.errors import UserError
from mothello.interop.to_transformers import as_transformers
from mothello.interop.vocabulary import build_tokenizer
from mothello.model.config import Norm
from mothello.stages.run import Run

ARCHITECTURE = "MothelloForCausalLM"


def _adapter() -> Any:
    """The class that tells TransformerLens which of our modules is which of its own."""
    from transformer_lens.model_bridge import generalized_components as parts
    from transformer_lens.model_bridge.architecture_adapter import ArchitectureAdapter

    def norm(name: str, config: Any) -> Any:
        return parts.NormalizationBridge(name=name, config=config, use_native_layernorm_autograd=True)

    class Adapter(ArchitectureAdapter):
        def __init__(self, cfg: Any) -> None:
            super().__init__(cfg)
            self.supports_fold_ln = self.supports_center_writing_weights = False
            linear = {name: parts.LinearBridge(name=name) for name in "qkvo"}
            mlp = {"in": parts.LinearBridge(name="up"), "out": parts.LinearBridge(name="down")}
            block = {
                "ln1": norm("norm_1", cfg), "ln2": norm("norm_2", cfg),
                "attn": parts.AttentionBridge(name="attn", config=cfg, submodules=linear),
                "mlp": parts.MLPBridge(name="mlp", config=cfg, submodules=mlp),
            }  # fmt: skip
            self.component_mapping = {
                "embed": parts.EmbeddingBridge(name="model.token_embedding"),
                "pos_embed": parts.PosEmbedBridge(name="model.position_embedding"),
                "blocks": parts.BlockBridge(name="model.blocks", submodules=block),
                "ln_final": norm("model.norm", cfg),
                "unembed": parts.UnembeddingBridge(name="head"),
            }

    return Adapter


def lens(run: Run) -> Any:
    """The run as a TransformerBridge: ``bridge.run_with_cache(ids)`` and so on, ids as the house's [B T]. Its weights
    are a copy, neither folded nor centered. UserError names an option that it cannot hold."""
    config = run.model.config
    if config.separate or config.language_ids:
        option = "model.separate" if config.separate else "model.language_ids"
        raise UserError(f"{option}: TransformerLens reads tokens alone, and not their language")
    from transformer_lens.config import TransformerBridgeConfig
    from transformer_lens.factories.architecture_adapter_factory import ArchitectureAdapterFactory
    from transformer_lens.model_bridge.sources._bridge_builder import build_bridge_from_module

    model = as_transformers(run.model, run.languages)
    settings = TransformerBridgeConfig(
        d_model=config.d_model, d_head=config.d_model // config.n_head, n_heads=config.n_head, n_layers=config.n_layer,
        n_ctx=run.model.n_positions, d_mlp=4 * config.d_model, d_vocab=model.config.vocab_size,
        d_vocab_out=run.model.output_size, act_fn="gelu", architecture=ARCHITECTURE, default_prepend_bos=False,
        normalization_type="RMS" if config.norm is Norm.rms else "LN", positional_embedding_type="standard",
    )  # fmt: skip
    ArchitectureAdapterFactory.register_adapter(ARCHITECTURE, _adapter())
    bridge = build_bridge_from_module(model, ARCHITECTURE, tl_config=settings, model_name="mothello")
    bridge.tokenizer = build_tokenizer(run.language_set)  # it would be tried on "a", which is no word of a language
    bridge.cfg.tokenizer_prepends_bos = bridge.cfg.tokenizer_appends_eos = False
    return bridge.eval()
