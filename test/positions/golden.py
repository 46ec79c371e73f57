"""Writes golden.json: what transformers' own functions compute for a few grids.

Usage: python golden.py > golden.json   (torch 2.13, transformers 5.17)
"""

import json
import torch
from transformers.models.qwen2_5_vl.configuration_qwen2_5_vl import Qwen2_5_VLTextConfig, Qwen2_5_VLVisionConfig
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import (
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLRotaryEmbedding,
    Qwen2_5_VLVisionRotaryEmbedding,
)
from transformers.models.qwen2_5_vl.configuration_qwen2_5_vl import Qwen2_5_VLConfig
from transformers.vision_utils import get_vision_cu_seqlens, get_vision_position_ids, get_vision_window_index


def floats(tensor):
    return [float(value) for value in tensor.flatten()]


def every(tensor, step):
    return floats(tensor.flatten()[::step])


vision = []
for grids, window, merge, head_dim, step in [
    ([[1, 6, 8]], 112, 2, 16, 7),
    ([[1, 8, 8]], 112, 2, 80, 97),
    ([[1, 10, 14]], 112, 2, 16, 31),
    ([[1, 2, 2]], 112, 2, 16, 1),
    ([[1, 18, 4], [1, 4, 22], [1, 8, 10]], 112, 2, 80, 499),
    ([[2, 6, 10]], 112, 2, 16, 37),
    ([[1, 9, 15]], 84, 3, 8, 29),
]:
    grid = torch.tensor(grids)
    config = Qwen2_5_VLVisionConfig(hidden_size=head_dim, num_heads=1, depth=1, spatial_merge_size=merge)
    index, cu_windows = get_vision_window_index(grid, merge, window, 14)
    rotary = Qwen2_5_VLVisionRotaryEmbedding(config)
    cos, sin = rotary(torch.zeros(1), get_vision_position_ids(grid, merge))
    half = head_dim // 2
    assert torch.equal(cos[:, :half], cos[:, half:])
    vision.append({
        'grids': grids, 'windowSize': window, 'spatialMergeSize': merge, 'headDim': head_dim, 'step': step,
        'windowIndex': index.tolist(), 'cuWindows': cu_windows.tolist(),
        'cuFrames': get_vision_cu_seqlens(grid).tolist(),
        'cos': every(cos[:, :half], step), 'sin': every(sin[:, :half], step),
    })

rotary = []
for head_dim, section in [(128, [16, 24, 24]), (16, [2, 3, 3])]:
    config = Qwen2_5_VLTextConfig(
        hidden_size=head_dim, num_attention_heads=1,
        rope_parameters={'rope_type': 'default', 'rope_theta': 1e6, 'mrope_section': section},
    )
    module = Qwen2_5_VLRotaryEmbedding(config)
    positions = torch.tensor([[0, 1, 5, 900, 5, 31999], [0, 1, 7, 901, 5, 31999], [0, 1, 6, 953, 5, 31999]])
    cos, sin = module(torch.zeros(1), positions[:, None, :])
    half = head_dim // 2
    assert torch.equal(cos[..., :half], cos[..., half:])
    rotary.append({
        'headDim': head_dim, 'theta': 1e6, 'mropeSection': section, 'positions': positions.tolist(),
        'inverseFrequencies': floats(module.inv_freq),
        'cos': floats(cos[0, :, :half]), 'sin': floats(sin[0, :, :half]),
    })

START, IMAGE, VIDEO, END = 90, 91, 92, 93
small = Qwen2_5_VLConfig(
    text_config={'hidden_size': 8, 'num_attention_heads': 1, 'num_key_value_heads': 1, 'num_hidden_layers': 1,
                 'intermediate_size': 8, 'vocab_size': 100,
                 'rope_parameters': {'rope_type': 'default', 'rope_theta': 1e6, 'mrope_section': [2, 1, 1]}},
    vision_config={'depth': 1, 'hidden_size': 8, 'num_heads': 1, 'intermediate_size': 8, 'out_hidden_size': 8},
    image_token_id=IMAGE, video_token_id=VIDEO, vision_start_token_id=START, vision_end_token_id=END,
)
model = Qwen2_5_VLForConditionalGeneration(small).model
rope = []
for grids, texts in [
    ([], [5]),
    ([[1, 4, 6]], [3, 4]),
    ([[1, 4, 6]], [0, 0]),
    ([[1, 2, 8], [1, 10, 4], [1, 2, 2]], [2, 0, 3, 6]),
]:
    ids = list(range(texts[0]))
    for grid, text in zip(grids, texts[1:]):
        ids += [START] + [IMAGE] * (grid[1] * grid[2] // 4) + [END] + list(range(text))
    tokens = torch.tensor([ids])
    positions, delta = model.get_rope_index(tokens, (tokens == IMAGE).int(), torch.tensor(grids) if grids else None)
    rope.append({'ids': ids, 'grids': grids, 'positions': positions[:, 0].tolist(), 'next': int(delta) + len(ids)})

print(json.dumps({'vision': vision, 'rotary': rotary, 'rope': rope}, separators=(',', ':')))
