"""Makes the files of this folder: small checkpoints as PyTorch and the safetensors library write them.

Run with Python 3, torch 2.13 and safetensors 0.8 in this folder. The malicious files are made without torch, by pickling
objects whose `__reduce__` names a command; nothing here runs it.
"""

import argparse
import collections
import os
import pickle
import subprocess
import sys
import types
import zipfile

import torch
from safetensors.torch import save_file


class Command:
    def __init__(self, function, *arguments):
        self.reduced = (function, arguments)

    def __reduce__(self):
        return self.reduced


class AttrDict(dict):
    """A dict of another class, as configuration libraries have it."""


def archive(path, objects, protocol=2):
    """A checkpoint of a bare pickle and no storages."""
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_STORED) as file:
        for name, data in {'data.pkl': pickle.dumps(objects, protocol), 'byteorder': b'little', 'version': b'3\n'}.items():
            file.writestr(zipfile.ZipInfo(f'archive/{name}', (1980, 1, 1, 0, 0, 0)), data)


def numbers(*shape, dtype=torch.float32):
    return torch.arange(torch.Size(shape).numel()).reshape(shape).to(dtype)


# As if the class came from a package of that name.
AttrDict.__module__ = 'attrdict'
module = types.ModuleType('attrdict')
module.AttrDict = AttrDict
sys.modules['attrdict'] = module

names = 'bfloat16 float16 float32 float64 int64 int32 int16 int8 uint8'.split()
kinds = {name: numbers(2, 3, dtype=getattr(torch, name)) for name in names}
kinds['bool'] = torch.tensor([True, False, True])
kinds['scalar'] = torch.tensor(7.5)
kinds['empty'] = torch.zeros(2, 0)
torch.save(kinds, 'dtypes.pt')
torch.save({'state_dict': kinds}, 'protocol4.pt', pickle_protocol=4)

base = numbers(4, 6)
torch.save(
    {
        'base': base,
        'tied': base,
        'transposed': base.t(),
        'column': base[:, 2],
        'rows': base[1:3],
        'steps': base[::2, 1::2],
        'axes': base.reshape(2, 2, 6).permute(2, 0, 1),
        'expanded': base[0, :3].unsqueeze(0).expand(5, 3),
    },
    'views.pt',
)

linear = torch.nn.Linear(3, 2)
with torch.no_grad():
    linear.weight.copy_(numbers(2, 3))
    linear.bias.copy_(numbers(2))
torch.save(linear.state_dict(), 'module.pt')
marked = torch.nn.Parameter(numbers(2))
marked.note = 'with a Python attribute'
torch.save({'state_dict': dict(linear.named_parameters()) | {'marked': marked}}, 'parameters.pt')

torch.save(
    {
        'state_dict': {'weight': numbers(2), 'step': 3, '__proto__': numbers(3), 'constructor': numbers(1)},
        'args': argparse.Namespace(depth=2),
        'optimizer': AttrDict(moment=numbers(2)),
        'device': torch.device('cpu'),
        'dtype': torch.bfloat16,
        'bytes': b'\x00\xff',
        'counter': collections.Counter('aab'),
        'set': {1, 2},
        'list': [1, -1, 2**40, -(2**70), 0.5, None, True],
    },
    'training.pt',
)
torch.save({'state_dict': AttrDict(weight=numbers(2))}, 'attrdict.pt')
torch.save({'weight': torch.eye(2).to_sparse()}, 'sparse.pt')
torch.save({'weight': torch.zeros(2, dtype=torch.complex64)}, 'complex.pt')
torch.save({'weight': torch.zeros(2, dtype=torch.uint16)}, 'uint16.pt')
torch.save({'weight': torch.zeros(2, dtype=torch.complex64).conj().imag}, 'negative.pt')
torch.save(linear, 'whole-module.pt')
torch.save({'weight': numbers(2)}, 'legacy.pt', _use_new_zipfile_serialization=False)

archive('malicious-system.pt', {'state_dict': Command(os.system, 'echo attacked')})
archive('malicious-popen.pt', {'state_dict': collections.OrderedDict(), 'x': Command(subprocess.Popen, ['echo', 'attacked'])})
archive('malicious-eval.pt', {'weight': Command(eval, 'print("attacked")')}, protocol=4)

tensors = {f'h.{i}.{name}': tensor.clone() for i in (10, 9) for name, tensor in kinds.items()}
tensors['naïve 💡 "quoted"\n'] = numbers(2)
save_file(tensors, 'reference.safetensors', metadata={'format': 'pt'})
