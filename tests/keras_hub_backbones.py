"""Every backbone of keras_hub, small: our own options for each, and inputs that make sense."""

import inspect

import keras
import numpy as np
import pytest

keras_hub = pytest.importorskip("keras_hub")

WORDS, LENGTH, SIZE = 20, 6, 32
IMAGE = (SIZE, SIZE, 3)

# What most of them call the same: a class is told of those that it knows.
SMALL = {
    "vocabulary_size": WORDS,
    "vocab_size": WORDS,
    "max_sequence_length": LENGTH,
    "num_layers": 2,
    "num_heads": 2,
    "num_attention_heads": 2,
    "num_query_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 4,
    "hidden_dim": 16,
    "intermediate_dim": 24,
    "embedding_dim": 16,
    "num_experts": 4,
    "top_k": 2,
    "moe_intermediate_dim": 12,
    "sliding_window": 3,
    "sliding_window_size": 3,
    "image_shape": IMAGE,
    "image_size": SIZE,
    "patch_size": 8,
}


def small(cls, **own):
    """Build a class of keras_hub, or a backbone by its name, with small options and its own."""
    cls = getattr(keras_hub.models, cls) if isinstance(cls, str) else cls
    known = inspect.signature(cls).parameters
    return cls(**{name: n for name, n in SMALL.items() if name in known} | own)


def resnet(**own):
    """Return an encoder of images with four levels, P2 to P5."""
    return small("ResNetBackbone", **OPTIONS["ResNetBackbone"] | own)


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

    shared = {"dropout": 0.0, "layer_norm_epsilon": 1e-6, "num_query_tokens": 3}
    biases = ["use_patch_bias", "use_class_token", "use_mha_bias", "use_mlp_bias"]
    return {
        "vision_encoder": small(
            BLIP2VisionEncoder,
            **dict.fromkeys(biases, True),
            dropout_rate=0.0,
            layer_norm_epsilon=1e-6,
            initializer_range=0.2,
        ),
        "qformer": small(BLIP2QFormer, vision_dim=16, cross_attention_frequency=1, **shared),
        "language_model": small(
            BLIP2CustomOPT, qformer_hidden_dim=16, max_sequence_length=LENGTH + 6, **shared
        ),
    }


def d_fine():
    stages = {"encoder_in_channels": [8, 12], "out_features": ["stage1", "stage2"]}
    return {
        **stages,
        "backbone": small(
            "HGNetV2Backbone",
            **OPTIONS["HGNetV2Backbone"] | {"image_shape": IMAGE, "hidden_sizes": [8, 12]},
        ),
        "decoder_in_channels": [16, 16],
        "encoder_hidden_dim": 16,
        "num_labels": 4,
        "num_denoising": 0,
        "learn_initial_query": False,
        "num_queries": 5,
        "anchor_image_size": (SIZE, SIZE),
        "feat_strides": [4, 8],
        "num_feature_levels": 2,
        "encode_proj_layers": [1],
        "encoder_ffn_dim": 24,
        "num_encoder_layers": 1,
        "hidden_expansion": 0.5,
        "depth_multiplier": 0.5,
        "eval_idx": -1,
        "num_decoder_layers": 2,
        "decoder_attention_heads": 2,
        "decoder_ffn_dim": 24,
        "decoder_n_points": [2, 2],
        "lqe_hidden_dim": 8,
        "num_lqe_layers": 2,
        "seed": 0,
    }


def depth_anything():
    options = {"num_layers": 4, "apply_layernorm": True, "image_shape": (72, 72, 3)}
    options = OPTIONS["DINOV2Backbone"] | options
    return {
        "image_encoder": small("DINOV2Backbone", **options),
        "reassemble_factors": [4, 2, 1, 0.5],
        "neck_hidden_dims": [4, 6, 8, 10],
        "fusion_hidden_dim": 8,
        "head_hidden_dim": 4,
        "head_in_index": -1,
        "feature_keys": ["stage1", "stage2", "stage3", "stage4"],
    }


def gemma3():
    from keras_hub.src.models.gemma3.gemma3_vision_encoder import Gemma3VisionEncoder

    return {"vision_encoder": small(Gemma3VisionEncoder, output_dim=16, pool_size=2)}


def gemma4():
    from keras_hub.src.models.gemma4.gemma4_vision_encoder import Gemma4VisionEncoder

    encoder = small(Gemma4VisionEncoder, head_dim=8, output_dim=16, pool_size=2)
    return {"vision_encoder": encoder, "sliding_window_pattern": 2}


def gemma4_listening():
    from keras_hub.src.models.gemma4.gemma4_audio_encoder import Gemma4AudioEncoder

    encoder = small(
        Gemma4AudioEncoder,
        input_feat_size=8,
        hidden_size=16,
        chunk_size=4,
        context_left=5,
        sscp_conv_channels=(4, 2),
        output_proj_dims=None,
        output_dim=16,
    )
    return {
        "audio_encoder": encoder,
        "num_audio_tokens_per_clip": 4,
        "sliding_window_pattern": 2,
    }


def gemma3n():
    return {
        "text_vocab_size": WORDS,
        "text_hidden_size": 16,
        "num_hidden_layers": 2,
        "pad_token_id": 0,
        "num_attention_heads": 4,
        "intermediate_size": [24, 24],
        "hidden_activation": "gelu_approximate",
        "layer_types": ["sliding_attention", "full_attention"],
        "rope_theta": 10_000.0,
        "max_position_embeddings": 8,
        "vocab_size_per_layer_input": WORDS,
        "hidden_size_per_layer_input": 4,
        "altup_num_inputs": 2,
        "laurel_rank": 3,
    }


def gemma3n_seeing():
    vision = OPTIONS["MobileNetV5Backbone"] | {"use_msfa": False}
    return gemma3n() | {
        "vision_encoder_config": small("MobileNetV5Backbone", **vision).get_config(),
        "vision_hidden_size": 16,
        "vision_vocab_size": 4,
        "vision_vocab_offset": WORDS,
        "image_token_id": 3,
    }


def parseq():
    options = OPTIONS["ViTBackbone"] | {"use_class_token": False}
    return {
        "image_encoder": small("ViTBackbone", name="image_encoder", **options),
        "max_label_length": LENGTH,
        "decoder_hidden_dim": 16,
        "num_decoder_layers": 1,
        "num_decoder_heads": 2,
        "decoder_mlp_dim": 24,
    }


def qwen3_5_seeing():
    from keras_hub.src.models.qwen3_5.qwen3_5_vision_encoder import Qwen3_5VisionEncoder

    encoder = small(
        Qwen3_5VisionEncoder,
        depth=1,
        hidden_size=16,
        intermediate_size=24,
        patch_size=4,
        out_hidden_size=16,
        num_position_embeddings=16,
    )
    return HYBRID | {"vision_encoder": encoder, "mrope_section": [1, 1, 0]}


def sam():
    hidden = {"num_multimask_outputs": 3, "iou_head_depth": 2, "iou_head_hidden_dim": 8}
    return {
        "image_encoder": small("ViTDetBackbone", **OPTIONS["ViTDetBackbone"]),
        "prompt_encoder": keras_hub.layers.SAMPromptEncoder(
            hidden_size=8,
            image_embedding_size=(4, 4),
            input_image_size=(SIZE, SIZE),
            mask_in_channels=16,
        ),
        "mask_decoder": small(
            keras_hub.layers.SAMMaskDecoder, hidden_size=8, embedding_dim=8, **hidden
        ),
    }


def sam3():
    layers, image = keras_hub.layers, {"image_shape": (28, 28, 3), "patch_size": 14}
    return {
        "vision_encoder": small(
            layers.SAM3VisionEncoder,
            fpn_hidden_dim=16,
            fpn_scale_factors=[4.0, 2.0, 1.0, 0.5],
            pretrain_image_shape=(42, 42, 3),
            window_size=2,
            global_attn_indexes=[1],
            **image,
        ),
        "text_encoder": small(layers.SAM3TextEncoder),
        "geometry_encoder": small(layers.SAM3GeometryEncoder, roi_size=3),
        "detr_encoder": small(layers.SAM3DetrEncoder),
        "detr_decoder": small(layers.SAM3DetrDecoder, num_queries=5, **image),
        "mask_decoder": small(layers.SAM3MaskDecoder, num_upsampling_stages=3),
    }


def stable_diffusion_3():
    from keras_hub.src.models.vae.vae_backbone import VAEBackbone

    return {
        "mmdit_patch_size": 2,
        "mmdit_hidden_dim": 16,
        "mmdit_num_layers": 2,
        "mmdit_num_heads": 2,
        "mmdit_position_size": 8,
        "mmdit_qk_norm": None,
        "mmdit_dual_attention_indices": None,
        "vae": VAEBackbone([32] * 4, [1] * 4, [32] * 4, [1] * 4, sampler_method="mode", name="vae"),
        "clip_l": small("CLIPTextEncoder", intermediate_output_index=-2, name="clip_l"),
        "clip_g": small("CLIPTextEncoder", intermediate_output_index=-2, name="clip_g"),
    }


def t5_gemma():
    own = {"hidden_dim": 16, "intermediate_dim": 24, "num_layers": 2, "head_dim": 4}
    own |= {"num_attention_heads": 4, "num_key_value_heads": 2}
    own |= {"layer_types": ["sliding_attention", "full_attention"]}
    sides = {f"{side}_{name}": n for side in ("encoder", "decoder") for name, n in own.items()}
    return sides | {"cross_attention_hidden_size": 16, "attn_logit_softcapping": 5.0}


# Decoders whose first layer keeps a state instead of attending.
HYBRID = {
    "layer_types": ["linear_attention", "full_attention"],
    "head_dim": 8,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 4,
    "linear_value_head_dim": 4,
}

# Of each backbone, what it calls its own; a function where that takes encoders to be built.
OPTIONS = {
    "AlbertBackbone": {"num_groups": 2, "num_inner_repetitions": 2},
    "BASNetBackbone": lambda: {
        "image_encoder": resnet(image_shape=(None, None, 3)),
        "num_classes": 1,
    },
    "BLIP2Backbone": blip2,
    "BartBackbone": {},
    "BertBackbone": {},
    "BloomBackbone": {},
    "CLIPBackbone": lambda: towers("CLIP", projection_dim=8),
    "CLIPTextEncoder": {},
    "CLIPVisionEncoder": {},
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
    "DINOV3Backbone": {},
    "DebertaV3Backbone": {"bucket_size": 4},
    "DeepLabV3Backbone": lambda: {
        "image_encoder": resnet(),
        "spatial_pyramid_pooling_key": "P4",
        "low_level_feature_key": "P2",
        "upsampling_size": 4,
        "dilation_rates": [1, 2, 3],
        "projection_filters": 4,
    },
    "DeiTBackbone": {},
    "DenseNetBackbone": {"stackwise_num_repeats": [1, 2, 1], "growth_rate": 4},
    "DepthAnythingBackbone": depth_anything,
    "DistilBertBackbone": {},
    "ESMBackbone": {},
    "EdRecBackbone": {"num_layers_enc": 2, "num_layers_dec": 2},
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
    "ElectraBackbone": {},
    "FNetBackbone": {},
    "FalconBackbone": {},
    "FluxBackbone": {
        "input_channels": 8,
        "hidden_size": 16,
        "mlp_ratio": 2.0,
        "depth": 1,
        "depth_single_blocks": 1,
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
    "GPT2Backbone": {},
    "GPTNeoXBackbone": {},
    "Gemma3Backbone": gemma3,
    "Gemma3Backbone: text alone": {"num_layers": 6, "use_sliding_window_attention": True},
    "Gemma3nBackbone": gemma3n_seeing,
    "Gemma3nBackbone: text alone": gemma3n,
    "Gemma4Backbone": gemma4,
    "Gemma4Backbone: text and sound": gemma4_listening,
    "Gemma4Backbone: text alone": {"sliding_window_pattern": 2},
    "GemmaBackbone": {
        "use_sliding_window_attention": True,
        "use_post_ffw_norm": True,
        "attention_logit_soft_cap": 5.0,
    },
    "GptOssBackbone": {},
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
    "Llama3Backbone": {},
    "LlamaBackbone": {},
    "MetaCLIP2Backbone": lambda: towers("MetaCLIP2", projection_dim=8),
    "MetaCLIP2TextEncoder": {},
    "MetaCLIP2VisionEncoder": {},
    "MiTBackbone": {
        "layerwise_depths": [1, 2],
        "layerwise_num_heads": [1, 2],
        "layerwise_sr_ratios": [4, 2],
        "max_drop_path_rate": 0.1,
        "layerwise_patch_sizes": [7, 3],
        "layerwise_strides": [4, 2],
        "hidden_dims": [4, 8],
    },
    "MistralBackbone": {},
    "MixtralBackbone": {},
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
    "MobileNetV5Backbone": {
        "stackwise_block_types": [["er"], ["uir", "mqa"]],
        "stackwise_num_blocks": [1, 2],
        "stackwise_num_filters": [[8], [12, 12]],
        "stackwise_strides": [[2], [2, 1]],
        "stackwise_act_layers": [["relu"], ["gelu", "gelu"]],
        "stackwise_exp_ratios": [[2.0], [2.0, 1.0]],
        "stackwise_se_ratios": [[0.0], [0.0, 0.0]],
        "stackwise_dw_kernel_sizes": [[0], [5, 3]],
        "stackwise_dw_start_kernel_sizes": [[0], [3, 0]],
        "stackwise_dw_end_kernel_sizes": [[0], [0, 0]],
        "stackwise_exp_kernel_sizes": [[3], [0, 0]],
        "stackwise_pw_kernel_sizes": [[1], [0, 0]],
        "stackwise_num_heads": [[0], [0, 2]],
        "stackwise_key_dims": [[0], [0, 4]],
        "stackwise_value_dims": [[0], [0, 4]],
        "stackwise_kv_strides": [[0], [0, 1]],
        "stackwise_use_cpe": [[False], [False, False]],
        "stem_size": 4,
        "num_features": 8,
        "msfa_output_resolution": 4,
    },
    "MoonshineBackbone": {
        "filter_dim": 16,
        "encoder_num_layers": 2,
        "decoder_num_layers": 2,
        "encoder_num_heads": 2,
        "decoder_num_heads": 2,
    },
    "OPTBackbone": {},
    "PARSeqBackbone": parseq,
    "PaliGemmaBackbone": {
        "vit_patch_size": 8,
        "vit_num_heads": 2,
        "vit_hidden_dim": 8,
        "vit_num_layers": 2,
        "vit_intermediate_dim": 12,
    },
    "Phi3Backbone": {},
    "Qwen3Backbone": {},
    "Qwen3MoeBackbone": {},
    "Qwen3_5Backbone": qwen3_5_seeing,
    "Qwen3_5Backbone: text alone": HYBRID,
    "Qwen3_5MoeBackbone": lambda: qwen3_5_seeing() | {"shared_expert_intermediate_size": 12},
    "Qwen3_5MoeBackbone: text alone": HYBRID | {"shared_expert_intermediate_size": 12},
    "QwenBackbone": {"use_sliding_window_attention": True},
    "QwenMoeBackbone": {"shared_expert_intermediate_dim": 12},
    "RWKV7Backbone": {
        "hidden_size": 16,
        "head_size": 4,
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
        "image_encoder": resnet(),
        "min_level": 3,
        "max_level": 6,
        "use_p5": True,
    },
    "RobertaBackbone": {},
    "RoformerV2Backbone": {"head_size": 8},
    "SAM3PromptableConceptBackbone": sam3,
    "SAMBackbone": sam,
    "SegFormerBackbone": lambda: {
        "image_encoder": small("MiTBackbone", **OPTIONS["MiTBackbone"]),
        "projection_filters": 8,
    },
    "SigLIPBackbone": lambda: towers("SigLIP"),
    "SigLIPTextEncoder": {},
    "SigLIPVisionEncoder": {},
    "SmolLM3Backbone": {
        "num_attention_heads": 4,
        "attention_bias": False,
        "attention_dropout": 0.0,
        "rope_layer_enabled_list": [True, False],
        "layer_types": ["full_attention", "full_attention"],
        "mlp_bias": False,
        "layer_norm_epsilon": 1e-5,
        "max_position_embeddings": 8,
        "rope_theta": 10_000.0,
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
    "T5Backbone": {},
    "T5Gemma2Backbone": t5_gemma,
    "T5GemmaBackbone": t5_gemma,
    "VGGBackbone": {"stackwise_num_repeats": [1, 2], "stackwise_num_filters": [4, 8]},
    "ViTBackbone": {"mlp_dim": 24, "patch_size": (8, 8)},
    "ViTDetBackbone": {
        "hidden_size": 16,
        "global_attention_layer_indices": [1],
        "num_output_channels": 8,
        "window_size": 3,
    },
    "VideoPrismBackbone": {
        "num_frames": 3,
        "num_spatial_layers": 1,
        "num_temporal_layers": 1,
        "num_auxiliary_layers": 1,
        "num_text_layers": 1,
    },
    "VideoPrismBackbone: video alone": {
        "num_frames": 3,
        "num_spatial_layers": 1,
        "num_temporal_layers": 1,
        "num_auxiliary_layers": 0,
        "vocabulary_size": 0,
    },
    "WhisperBackbone": {
        "num_mels": 5,
        "max_encoder_sequence_length": LENGTH,
        "max_decoder_sequence_length": LENGTH,
    },
    "XLMRobertaBackbone": {},
    "XLNetBackbone": {},
    "XceptionBackbone": {
        "stackwise_conv_filters": [[4, 6], [8, 8], [12, 12]],
        "stackwise_pooling": [False, True, False],
    },
}

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
    """Return a backbone by its key in `OPTIONS`, every weight of it with something to tell."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    own = OPTIONS[name]
    model = small(name.partition(":")[0], **(own() if callable(own) else own))
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
    n = 1 if name == "SAMBackbone" else 2  # that one gives its positions once for all samples
    found = []
    for x in model.inputs:
        open_ones = iter(LENGTHS.get(name, {}).get(x.name, [LENGTH] * 3))
        shape = (n, *(next(open_ones) if size is None else size for size in x.shape[1:]))
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
