"""Every backbone of keras_hub, small: our own options for each, and inputs that make sense."""

import inspect

import keras
import numpy as np
import pytest

keras_hub = pytest.importorskip("keras_hub")

WORDS, LENGTH, SIZE = 20, 6, 32
IMAGE = (SIZE, SIZE, 3)

# What options are called, by what we give: a class is told of those that it knows.
NAMES = {
    WORDS: "vocabulary_size vocab_size text_vocab_size vocab_size_per_layer_input",
    LENGTH: "max_encoder_sequence_length max_decoder_sequence_length "
    "max_position_embeddings max_label_length",
    2: "num_layers num_layers_enc num_layers_dec num_hidden_layers encoder_num_layers "
    "decoder_num_layers num_decoder_layers vit_num_layers mmdit_num_layers num_spatial_layers "
    "num_temporal_layers num_auxiliary_layers num_text_layers depth depth_single_blocks "
    "num_heads num_attention_heads encoder_num_heads decoder_num_heads num_decoder_heads "
    "decoder_attention_heads vit_num_heads mmdit_num_heads num_key_value_heads "
    "encoder_num_key_value_heads decoder_num_key_value_heads top_k",
    4: "num_query_heads encoder_num_attention_heads decoder_num_attention_heads head_dim "
    "encoder_head_dim decoder_head_dim head_size num_experts",
    8: "max_sequence_length patch_size vit_patch_size",
    12: "moe_intermediate_dim shared_expert_intermediate_dim shared_expert_intermediate_size",
    16: "hidden_dim hidden_size encoder_hidden_dim decoder_hidden_dim text_hidden_size "
    "vision_hidden_size cross_attention_hidden_size qformer_hidden_dim out_hidden_size "
    "fpn_hidden_dim mmdit_hidden_dim vit_hidden_dim embedding_dim filter_dim output_dim vision_dim",
    24: "intermediate_dim intermediate_size encoder_intermediate_dim decoder_intermediate_dim "
    "vit_intermediate_dim encoder_ffn_dim decoder_ffn_dim mlp_dim decoder_mlp_dim",
}
ALTERNATING = ["sliding_attention", "full_attention"]
SMALL = {
    **{name: size for size, names in NAMES.items() for name in names.split()},
    **dict.fromkeys(["sliding_window", "sliding_window_size"], 3),
    **dict.fromkeys(["dropout", "dropout_rate", "attention_dropout"], 0.0),
    "layer_norm_epsilon": 1e-5,
    "rope_theta": 10_000.0,
    "image_shape": IMAGE,
    "image_size": SIZE,
}


def small(cls, **own):
    """Build a class of keras_hub, or a backbone by its name, with small options and its own."""
    if isinstance(cls, str):
        own = options(cls) | own
        cls = getattr(keras_hub.models, cls.partition(":")[0])
    known = inspect.signature(cls).parameters
    return cls(**{name: n for name, n in SMALL.items() if name in known} | own)


def options(name):
    """Return what a backbone calls its own."""
    own = OPTIONS.get(name, {})
    return own() if callable(own) else own


def towers(kind, **own):
    """Return the two towers of a CLIP, for images and for text."""
    return {
        "vision_encoder": small(f"{kind}VisionEncoder", name="vision_encoder"),
        "text_encoder": small(f"{kind}TextEncoder", name="text_encoder"),
        **own,
    }


def blip2():
    from keras_hub.src.models.blip2.blip2_custom_opt import BLIP2CustomOPT
    from keras_hub.src.models.blip2.blip2_qformer import BLIP2QFormer
    from keras_hub.src.models.blip2.blip2_vision_encoder import BLIP2VisionEncoder

    biases = ["use_patch_bias", "use_class_token", "use_mha_bias", "use_mlp_bias"]
    vision = dict.fromkeys(biases, True) | {"initializer_range": 0.2}
    queries = {"num_query_tokens": 3}
    return {
        "vision_encoder": small(BLIP2VisionEncoder, **vision),
        "qformer": small(BLIP2QFormer, cross_attention_frequency=1, **queries),
        "language_model": small(BLIP2CustomOPT, max_sequence_length=LENGTH + 6, **queries),
    }


def d_fine():
    return {
        "backbone": small("HGNetV2Backbone"),
        "out_features": ["stage1", "stage2"],
        "encoder_in_channels": [8, 12],
        "decoder_in_channels": [16, 16],
        "num_labels": 4,
        "num_denoising": 0,
        "learn_initial_query": False,
        "num_queries": 5,
        "anchor_image_size": (SIZE, SIZE),
        "feat_strides": [4, 8],
        "num_feature_levels": 2,
        "encode_proj_layers": [1],
        "num_encoder_layers": 1,
        "hidden_expansion": 0.5,
        "depth_multiplier": 0.5,
        "eval_idx": -1,
        "decoder_n_points": [2, 2],
        "lqe_hidden_dim": 8,
        "num_lqe_layers": 2,
        "seed": 0,
    }


def depth_anything():
    shape = (72, 72, 3)
    return {
        "image_encoder": small(
            "DINOV2Backbone", num_layers=4, apply_layernorm=True, image_shape=shape
        ),
        "reassemble_factors": [4, 2, 1, 0.5],
        "neck_hidden_dims": [4, 6, 8, 10],
        "fusion_hidden_dim": 8,
        "head_hidden_dim": 4,
        "head_in_index": -1,
        "feature_keys": ["stage1", "stage2", "stage3", "stage4"],
    }


def gemma3():
    from keras_hub.src.models.gemma3.gemma3_vision_encoder import Gemma3VisionEncoder

    return {"vision_encoder": small(Gemma3VisionEncoder, pool_size=2)}


def gemma3n():
    return {
        "pad_token_id": 0,
        "num_attention_heads": 4,
        "intermediate_size": [24, 24],
        "hidden_activation": "gelu_approximate",
        "layer_types": ALTERNATING,
        "hidden_size_per_layer_input": 4,
        "altup_num_inputs": 2,
        "laurel_rank": 3,
    }


def gemma3n_seeing():
    return gemma3n() | {
        "vision_encoder_config": small("MobileNetV5Backbone", use_msfa=False).get_config(),
        "vision_vocab_size": 4,
        "vision_vocab_offset": WORDS,
        "image_token_id": 3,
    }


def gemma4():
    from keras_hub.src.models.gemma4.gemma4_vision_encoder import Gemma4VisionEncoder

    vision_encoder = small(Gemma4VisionEncoder, head_dim=8, pool_size=2)
    return {"vision_encoder": vision_encoder, "layer_types": ALTERNATING}


def gemma4_hearing():
    from keras_hub.src.models.gemma4.gemma4_audio_encoder import Gemma4AudioEncoder

    context = {"chunk_size": 4, "context_left": 5}
    convolutions = {"input_feat_size": 8, "sscp_conv_channels": (4, 2), "output_proj_dims": None}
    return {
        "audio_encoder": small(Gemma4AudioEncoder, **context, **convolutions),
        "num_audio_tokens_per_clip": 4,
        "layer_types": ALTERNATING,
    }


def mobile_net_v5():
    from keras_hub.src.models.mobilenetv5.mobilenetv5_builder import convert_arch_def_to_stackwise

    blocks = [["er_r1_k3_s2_e2_c8"], ["uir_r1_a3_k5_s2_e2_c16", "mqa_r1_k3_h2_s1_d4_c16"]]
    own = {"stem_size": 4, "num_features": 8, "msfa_output_resolution": 4}
    return convert_arch_def_to_stackwise(blocks) | own


def qwen3_5_seeing():
    from keras_hub.src.models.qwen3_5.qwen3_5_vision_encoder import Qwen3_5VisionEncoder

    encoder = small(Qwen3_5VisionEncoder, patch_size=4, num_position_embeddings=16)
    return HYBRID | {"vision_encoder": encoder, "mrope_section": [1, 1, 0]}


def sam():
    heads = {"num_multimask_outputs": 3, "iou_head_depth": 2, "iou_head_hidden_dim": 8}
    return {
        "image_encoder": small("ViTDetBackbone"),
        "prompt_encoder": keras_hub.layers.SAMPromptEncoder(
            hidden_size=8,
            image_embedding_size=(4, 4),
            input_image_size=(SIZE, SIZE),
            mask_in_channels=16,
        ),
        "mask_decoder": small(
            keras_hub.layers.SAMMaskDecoder, hidden_size=8, embedding_dim=8, **heads
        ),
    }


def sam3():
    layers = keras_hub.layers
    image = {"image_shape": (28, 28, 3), "patch_size": 14}
    vision = {
        "fpn_scale_factors": [4.0, 2.0, 1.0, 0.5],
        "pretrain_image_shape": (42, 42, 3),
        "window_size": 2,
        "global_attn_indexes": [1],
    }
    return {
        "vision_encoder": small(layers.SAM3VisionEncoder, **image, **vision),
        "text_encoder": small(layers.SAM3TextEncoder),
        "geometry_encoder": small(layers.SAM3GeometryEncoder, roi_size=3),
        "detr_encoder": small(layers.SAM3DetrEncoder),
        "detr_decoder": small(layers.SAM3DetrDecoder, num_queries=5, **image),
        "mask_decoder": small(layers.SAM3MaskDecoder, num_upsampling_stages=3),
    }


def stable_diffusion_3():
    from keras_hub.src.models.vae.vae_backbone import VAEBackbone

    filters, blocks = [32, 32, 32, 32], [1, 1, 1, 1]
    text = {"intermediate_output_index": -2}
    return {
        "mmdit_patch_size": 2,
        "mmdit_position_size": 8,
        "mmdit_qk_norm": None,
        "mmdit_dual_attention_indices": None,
        "vae": VAEBackbone(filters, blocks, filters, blocks, sampler_method="mode", name="vae"),
        "clip_l": small("CLIPTextEncoder", name="clip_l", **text),
        "clip_g": small("CLIPTextEncoder", name="clip_g", **text),
    }


# Decoders whose first layer keeps a state instead of attending.
HYBRID = {
    "layer_types": ["linear_attention", "full_attention"],
    "head_dim": 8,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 4,
    "linear_value_head_dim": 4,
}

T5_GEMMA = {
    "encoder_layer_types": ALTERNATING,
    "decoder_layer_types": ALTERNATING,
    "attn_logit_softcapping": 5.0,
}

# Those of which `SMALL` says everything.
PLAIN = (
    "BartBackbone BertBackbone BloomBackbone CLIPTextEncoder CLIPVisionEncoder DINOV3Backbone "
    "DeiTBackbone DistilBertBackbone ESMBackbone EdRecBackbone ElectraBackbone FNetBackbone "
    "FalconBackbone GPT2Backbone GPTNeoXBackbone GptOssBackbone Llama3Backbone LlamaBackbone "
    "MetaCLIP2TextEncoder MetaCLIP2VisionEncoder MistralBackbone MixtralBackbone MoonshineBackbone "
    "OPTBackbone PaliGemmaBackbone Phi3Backbone Qwen3Backbone Qwen3MoeBackbone QwenMoeBackbone "
    "RobertaBackbone SigLIPVisionEncoder T5Backbone XLMRobertaBackbone XLNetBackbone"
)

# Of each other backbone what it calls its own; a function where that takes encoders to be built.
OPTIONS = {
    "AlbertBackbone": {"num_groups": 2, "num_inner_repetitions": 2},
    "BASNetBackbone": lambda: {
        "image_encoder": small("ResNetBackbone", image_shape=(None, None, 3)),
        "num_classes": 1,
    },
    "BLIP2Backbone": blip2,
    "CLIPBackbone": lambda: towers("CLIP", projection_dim=8),
    "CSPNetBackbone": {
        "stem_filters": 8,
        "stem_kernel_size": 3,
        "stem_strides": 1,
        "stackwise_depth": [1, 2],
        "stackwise_strides": 2,
        "stackwise_num_filters": [8, 12],
        "bottle_ratio": (0.5, 1.0),
        "block_ratio": (1.0, 0.5),
        "expand_ratio": (2.0, 1.0),
        "down_growth": True,
        "block_type": "dark_block",
        "stage_type": "csp",
        "stem_padding": "same",
    },
    "DFineBackbone": d_fine,
    "DINOV2Backbone": {"position_embedding_shape": (48, 48, 3), "num_register_tokens": 2},
    "DebertaV3Backbone": {"bucket_size": 4},
    "DeepLabV3Backbone": lambda: {
        "image_encoder": small("ResNetBackbone"),
        "spatial_pyramid_pooling_key": "P4",
        "low_level_feature_key": "P2",
        "upsampling_size": 4,
        "dilation_rates": [1, 2, 3],
        "projection_filters": 4,
    },
    "DenseNetBackbone": {"stackwise_num_repeats": [1, 2, 1], "growth_rate": 4},
    "DepthAnythingBackbone": depth_anything,
    "EfficientNetBackbone": {
        "stackwise_kernel_sizes": [3, 5, 3],
        "stackwise_num_repeats": [1, 2, 2],
        "stackwise_input_filters": [8, 8, 16],
        "stackwise_output_filters": [8, 16, 16],
        "stackwise_expansion_ratios": [1, 4, 4],
        "stackwise_squeeze_and_excite_ratios": [0, 0.25, 0.25],
        "stackwise_strides": [1, 2, 2],
        "stackwise_block_types": ["fused", "unfused", "v1"],
        "width_coefficient": 1.0,
        "depth_coefficient": 1.0,
        "input_shape": IMAGE,
        "num_features": 16,
    },
    "FluxBackbone": {
        "input_channels": 8,
        "mlp_ratio": 2.0,
        "axes_dim": [2, 2, 4],
        "theta": 10_000,
        "use_bias": True,
        "guidance_embed": True,
        "image_shape": (4, 8),
        "text_shape": (LENGTH, 8),
        "image_ids_shape": (4, 3),
        "text_ids_shape": (LENGTH, 3),
        "y_shape": (8,),
    },
    "Gemma3Backbone": gemma3,
    "Gemma3Backbone: text alone": {"num_layers": 6, "use_sliding_window_attention": True},
    "Gemma3nBackbone": gemma3n_seeing,
    "Gemma3nBackbone: text alone": gemma3n,
    "Gemma4Backbone": gemma4,
    "Gemma4Backbone: text and sound": gemma4_hearing,
    "Gemma4Backbone: text alone": {"layer_types": ALTERNATING},
    "GemmaBackbone": {
        "use_sliding_window_attention": True,
        "use_post_ffw_norm": True,
        "attention_logit_soft_cap": 5.0,
    },
    "HGNetV2Backbone": {
        "depths": [1, 1],
        "embedding_size": 4,
        "hidden_sizes": [8, 12],
        "stem_channels": [3, 6, 4],
        "hidden_act": "relu",
        "use_learnable_affine_block": True,
        "stackwise_stage_filters": [[4, 4, 8, 1, 1, 3], [8, 4, 12, 1, 2, 3]],
        "apply_downsample": [False, True],
        "use_lightweight_conv_block": [False, True],
        "out_features": ["stage1", "stage2"],
    },
    "MetaCLIP2Backbone": lambda: towers("MetaCLIP2", projection_dim=8),
    "MiTBackbone": {
        "layerwise_depths": [1, 2],
        "layerwise_num_heads": [1, 2],
        "layerwise_sr_ratios": [4, 2],
        "max_drop_path_rate": 0.1,
        "layerwise_patch_sizes": [7, 3],
        "layerwise_strides": [4, 2],
        "hidden_dims": [4, 8],
    },
    "MobileNetBackbone": {
        "stackwise_expansion": [[8], [16, 24]],
        "stackwise_num_blocks": [1, 2],
        "stackwise_num_filters": [[8], [12, 12]],
        "stackwise_kernel_size": [[3], [5, 3]],
        "stackwise_num_strides": [[2], [2, 1]],
        "stackwise_se_ratio": [[None], [0.25, 0.25]],
        "stackwise_activation": [["relu"], ["hard_swish", "hard_swish"]],
        "stackwise_padding": [[1], [2, 1]],
        "output_num_filters": 16,
        "depthwise_filters": 8,
        "depthwise_stride": 2,
        "depthwise_residual": False,
        "last_layer_filter": 12,
        "squeeze_and_excite": 0.5,
        "input_num_filters": 4,
    },
    "MobileNetV5Backbone": mobile_net_v5,
    "PARSeqBackbone": lambda: {
        "image_encoder": small("ViTBackbone", use_class_token=False),
        "num_decoder_layers": 1,
    },
    "Qwen3_5Backbone": qwen3_5_seeing,
    "Qwen3_5Backbone: text alone": HYBRID,
    "Qwen3_5MoeBackbone": qwen3_5_seeing,
    "Qwen3_5MoeBackbone: text alone": HYBRID,
    "QwenBackbone": {"use_sliding_window_attention": True},
    "RWKV7Backbone": {
        "gate_lora": 8,
        "mv_lora": 4,
        "aaa_lora": 4,
        "decay_lora": 4,
    },
    "ResNetBackbone": {
        "input_conv_filters": [64],
        "input_conv_kernel_sizes": [7],
        "stackwise_num_filters": [64, 8, 12, 12],
        "stackwise_num_blocks": [1, 1, 1, 1],
        "stackwise_num_strides": [1, 2, 2, 2],
        "block_type": "basic_block",
    },
    "RetinaNetBackbone": lambda: {
        "image_encoder": small("ResNetBackbone"),
        "min_level": 3,
        "max_level": 6,
        "use_p5": True,
    },
    "RoformerV2Backbone": {"head_size": 8},
    "SAM3PromptableConceptBackbone": sam3,
    "SAMBackbone": sam,
    "SegFormerBackbone": lambda: {
        "image_encoder": small("MiTBackbone"),
        "projection_filters": 8,
    },
    "SigLIPBackbone": lambda: towers("SigLIP"),
    "SigLIPTextEncoder": {"max_sequence_length": LENGTH},
    "SmolLM3Backbone": {
        "num_attention_heads": 4,
        "attention_bias": False,
        "rope_layer_enabled_list": [True, False],
        "layer_types": ["full_attention", "full_attention"],
        "mlp_bias": False,
        "partial_rotary_factor": 1.0,
    },
    "StableDiffusion3Backbone": stable_diffusion_3,
    "SwinTransformerBackbone": {
        "embed_dim": 8,
        "depths": (2, 2),
        "num_heads": (2, 4),
        "window_size": 4,
        "patch_size": 4,
    },
    "T5Gemma2Backbone": T5_GEMMA,
    "T5GemmaBackbone": T5_GEMMA,
    "VGGBackbone": {"stackwise_num_repeats": [1, 2], "stackwise_num_filters": [4, 8]},
    "ViTBackbone": {"patch_size": (8, 8)},
    "ViTDetBackbone": {
        "global_attention_layer_indices": [1],
        "num_output_channels": 8,
        "window_size": 3,
    },
    "VideoPrismBackbone": {"num_frames": 3},
    "VideoPrismBackbone: video alone": {
        "num_frames": 3,
        "num_text_layers": 0,
        "vocabulary_size": 0,
    },
    "WhisperBackbone": {"num_mels": 5},
    "XceptionBackbone": {
        "stackwise_conv_filters": [[4, 6], [8, 8], [12, 12]],
        "stackwise_pooling": [False, True, False],
    },
}
ALL = sorted([*PLAIN.split(), *OPTIONS])

# An image of 4 x 4 patches, of which 2 x 2 make a token.
PATCHES = {"pixel_values": [16], "image_grid_thw": [1], "vision_indices": [4]}

# What the open dimensions of inputs are, where not `LENGTH`.
LENGTHS = {
    "Gemma3Backbone": {"images": [1], "vision_indices": [4]},
    "Gemma3nBackbone": {"images": [1]},
    "Gemma4Backbone": {
        "pixel_position_ids": [1, 16],
        "pixel_values": [1, 16, 3 * 8 * 8],
        "vision_indices": [4],
    },
    "Gemma4Backbone: text and sound": {
        "audio_indices": [4],
        "audio_mel": [1, 16],
        "audio_mel_mask": [1, 16],
    },
    "MoonshineBackbone": {"encoder_input_values": [1500], "encoder_padding_mask": [1500]},
    "Qwen3_5Backbone": PATCHES,
    "Qwen3_5MoeBackbone": PATCHES,
    "SAM3PromptableConceptBackbone": {"boxes": [1], "box_labels": [1]},
    "SAMBackbone": {"boxes": [1], "masks": [1, 16, 16]},
}


def build(name):
    """Return a backbone by its name in `ALL`, every weight of it with something to tell."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    model = small(name)
    if name == "SmolLM3Backbone":
        call(model, samples(model, name))  # builds its rotary embedding only then
    return randomise(model)


def call(model, inputs):
    """Call a model on inputs in the order of `model.inputs`."""
    return model(keras.tree.pack_sequence_as(model.input, inputs))


def randomise(model, seed=0):
    """Fill weights that start as constants with noise, and let those that start small matter."""
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        values = keras.ops.convert_to_numpy(variable)
        if "float" not in str(variable.dtype) or not np.isfinite(values).all():
            continue  # seeds, positions, bounds
        if np.ptp(values) == 0:
            variable.assign(values + rng.uniform(-0.4, 0.4, values.shape))
        elif values.std() < 0.05:
            variable.assign(values * (0.2 / values.std()))
    return model


def samples(model, name, seed=0):
    """Return two samples of every input, by its name: words, places, masks with ends, noise."""
    rng = np.random.default_rng(seed)
    found = []
    for x in model.inputs:
        open_ones = iter(LENGTHS.get(name, {}).get(x.name, [LENGTH] * 3))
        shape = (2, *(next(open_ones) if size is None else size for size in x.shape[1:]))
        found.append(values(x.name, shape, rng).astype(x.dtype))
    return found


def values(name, shape, rng):
    """Return what an input of a name takes."""
    if name.endswith("token_ids"):
        return rng.integers(0, WORDS, shape)
    if name in ("vision_indices", "audio_indices"):
        return np.broadcast_to(1 + np.arange(shape[-1]), shape)
    if name in ("vision_mask", "audio_mask"):
        return np.broadcast_to((np.arange(shape[-1]) >= 1) & (np.arange(shape[-1]) <= 4), shape)
    if name == "position_ids":
        return np.broadcast_to(np.arange(shape[-1]), shape)
    if name == "pixel_position_ids":
        return np.broadcast_to(np.argwhere(np.ones((4, 4))), shape)
    if name == "image_grid_thw":
        return np.broadcast_to([1, 4, 4], shape)
    if name == "num_steps":
        return np.full(shape, 3)
    if name.endswith("padding_mask") or name.endswith("mel_mask"):
        ends = shape[-1] - np.arange(shape[0]) * (shape[-1] // 3)  # the first sample has no padding
        ends = ends.reshape(-1, *[1] * (len(shape) - 1))
        return np.broadcast_to(np.arange(shape[-1]) < ends, shape)
    if name.endswith(("segment_ids", "labels", "mask")):
        return rng.integers(0, 2, shape)
    if name == "boxes":
        return rng.uniform(0.1, 0.9, shape)
    return rng.standard_normal(shape)
