"""A pretended GPU: tensors "on" it lie in the CPU's memory, and an operation that mixes them with others fails as on a
real one. So that a machine without a GPU sees a tensor that was left behind. As MPS it makes no float64 tensor either."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map

KINDS = {"cuda": torch.device("cuda", 0), "mps": torch.device("mps", 0)}
NO_FLOAT64 = "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64. Please use float32 instead."
_MAY_MIX = {"copy_", "index", "index_put", "index_put_", "_index_put_impl_", "_local_scalar_dense"}
"""Copies, and CPU indices of tensors on a GPU."""


class _Pretended:
    kind = "cuda"


def on_gpu(tensor: Tensor) -> bool:
    return getattr(tensor.untyped_storage(), "pretended", False)


def _mark(x: Tensor, gpu: bool = True) -> None:
    if gpu and _Pretended.kind == "mps" and x.dtype in (torch.float64, torch.complex128):
        raise TypeError(NO_FLOAT64)
    x.untyped_storage().pretended = gpu


def _moved(result: Any, gpu: bool, fresh: bool = False) -> Any:
    def move(x: Any) -> Any:
        if not isinstance(x, Tensor) or on_gpu(x) == gpu:
            return x
        x = x if fresh else x.clone()
        _mark(x, gpu)
        return x

    return tree_map(move, result)


def _is_gpu(device: Any) -> bool:
    return device is not None and torch.device(device).type == _Pretended.kind


class _OneDevice(TorchDispatchMode):
    """Results lie where the arguments do."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        tensors = [x for x in tree_iter((args, kwargs)) if isinstance(x, Tensor)]
        here = [x for x in tensors if on_gpu(x)]
        name = func.overloadpacket.__name__
        if here and name not in _MAY_MIX:
            left = [x for x in tensors if not on_gpu(x) and (x.ndim or (x is tensors[0] and name.endswith("_")))]
            assert not left, f"{name} of tensors on the GPU and on the CPU"
        if here and name.startswith(("index", "_index")):
            values = [x for x in (args[0], *args[2:3]) if isinstance(x, Tensor) and x.ndim]
            assert all(map(on_gpu, values)), f"{name}: GPU indices or values of a tensor on the CPU"
        result = func(*args, **(kwargs or {}))
        if here and name != "copy_":
            for x in tree_iter(result):
                if isinstance(x, Tensor) and x.device.type != "meta":
                    _mark(x)
        return result


class _Devices(TorchFunctionMode):
    """What is asked about devices, and what is made on them."""

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, name = dict(kwargs or {}), getattr(func, "__name__", "")
        owner = getattr(func, "__self__", None)
        if name == "__get__" and owner in _ABOUT:
            return _ABOUT[owner](args[0])
        if name in ("numpy", "__array__", "from_numpy"):
            assert not (isinstance(args[0], Tensor) and on_gpu(args[0])), "numpy of a tensor on the GPU"
        if name in ("cuda", "cpu"):
            return _moved(args[0], name == _Pretended.kind)
        if name in ("to", "type_as") and isinstance(args[0], Tensor):
            return self._to(func, args, kwargs)
        kwargs.pop("pin_memory", None)
        if "device" in kwargs:
            gpu = _is_gpu(kwargs.pop("device"))
            return _moved(func(*args, **kwargs), gpu, fresh=True)
        if name == "new_tensor":
            return _moved(func(*args, **kwargs), on_gpu(args[0]), fresh=True)
        if name == "one_hot":  # made of parts that do not know where they are
            return _moved(func(_moved(args[0], False), *args[1:], **kwargs), on_gpu(args[0]))
        return func(*args, **kwargs)

    def _to(self, func: Any, args: Any, kwargs: Any) -> Any:
        gpu = on_gpu(args[0])
        places = [x for x in (*args[1:], kwargs.pop("device", None)) if isinstance(x, torch.device | str)]
        if places:
            gpu = _is_gpu(places[0])
        elif len(args) > 1 and isinstance(args[1], Tensor):
            gpu = on_gpu(args[1])
        rest = [x for x in args[1:] if isinstance(x, torch.dtype | Tensor)]
        kwargs = {key: value for key, value in kwargs.items() if key == "dtype" and value is not None}
        result = func(args[0], *rest, **kwargs) if rest or kwargs else args[0]
        return _moved(result, gpu)


_ABOUT = {
    Tensor.device: lambda x: KINDS[_Pretended.kind] if on_gpu(x) else torch.device("cpu"),
    Tensor.is_cuda: lambda x: on_gpu(x) and _Pretended.kind == "cuda",
    Tensor.is_mps: lambda x: on_gpu(x) and _Pretended.kind == "mps",
    Tensor.is_cpu: lambda x: not on_gpu(x),
}


class _Event:
    def record(self) -> None: ...
    def synchronize(self) -> None: ...


@contextmanager
def pretended_mps() -> Iterator[None]:
    """Within, MPS is there, and CUDA is not."""
    memory = {"recommended_max_memory": lambda: 1 << 36, "driver_allocated_memory": lambda: 0}
    with (
        patch.object(torch.backends.mps, "is_available", lambda: True), patch.multiple(torch.mps, **memory),
        patch.object(torch.cuda, "is_available", lambda: False), patch.object(_Pretended, "kind", "mps"),
        _OneDevice(), _Devices(),
    ):  # fmt: skip
        yield


@contextmanager
def pretended_gpu() -> Iterator[None]:
    """Within, CUDA is there."""
    cuda = {
        "is_available": lambda: True, "is_bf16_supported": lambda **_: True, "get_device_name": lambda *_: "pretended",
        "max_memory_allocated": lambda *_: 0, "mem_get_info": lambda *_: (1 << 36, 1 << 36), "Event": _Event,
        "synchronize": lambda *_: None, "empty_cache": lambda: None,
    }  # fmt: skip
    with patch.multiple(torch.cuda, **cuda), _OneDevice(), _Devices():
        yield
