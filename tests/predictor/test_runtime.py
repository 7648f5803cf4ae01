"""Device and precision: chosen honestly, refused with a remedy."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from napari_sam2.predictor.runtime import DTYPES, Runtime, keep_heap

no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")


def test_auto_takes_the_best_there_is():
    runtime = Runtime.auto()
    if torch.cuda.is_available():
        assert runtime.device.type == "cuda"
    elif torch.backends.mps.is_available():
        assert runtime.device.type == "mps"
    else:
        assert runtime == Runtime(torch.device("cpu"), torch.float32)


def test_cpu_is_float32_unless_asked():
    assert Runtime.auto("cpu") == Runtime(torch.device("cpu"), torch.float32)
    assert Runtime.auto("cpu", "bfloat16").dtype == torch.bfloat16


@no_gpu
@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:7"])
def test_a_missing_gpu_is_an_error_and_no_fallback(device):
    with pytest.raises(RuntimeError, match=rf"'{device}' was asked for.*device='cpu'"):
        Runtime.auto(device)


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="this machine has an Apple GPU")
def test_a_missing_apple_gpu_is_an_error():
    with pytest.raises(RuntimeError, match=r"'mps' was asked for.*no Apple GPU"):
        Runtime.auto("mps")


@pytest.mark.parametrize("device", ["gpu", "tpu", "", "cuda:x", "meta"])
def test_unknown_device(device):
    with pytest.raises(ValueError, match=f"unknown device '{device}': choose 'cpu'"):
        Runtime.auto(device)


def test_unknown_precision():
    with pytest.raises(ValueError, match="unknown precision 'half': choose one of float32, bfl"):
        Runtime.auto("cpu", "half")


def test_half_precision_on_a_cpu():
    with pytest.raises(ValueError, match=r"float16 .* CPU: use 'bfloat16' or 'float32'"):
        Runtime.auto("cpu", "float16")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_precision_holds_inside_only(dtype):
    runtime = Runtime.auto("cpu", dtype)
    a = torch.ones(4, 4)
    with runtime.autocast():
        assert (a @ a).dtype == DTYPES[dtype]
    assert (a @ a).dtype == torch.float32
    assert not torch.is_autocast_enabled("cpu")


def test_it_says_what_it_chose(monkeypatch):
    runtime = Runtime.auto("cpu", "bfloat16")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert runtime.describe() == "CPU, 1 thread, bfloat16"
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert runtime.describe() == "CPU, 2 threads, bfloat16"


@pytest.mark.gpu
def test_gpu():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    runtime = Runtime.auto("cuda")
    assert torch.cuda.get_device_name(0) in runtime.describe()
    with pytest.raises(RuntimeError, match="'cuda:99' was asked for, but there are"):
        Runtime.auto("cuda:99")
    with runtime.autocast():
        product = torch.ones(4, 4, device=runtime.device) @ torch.ones(4, 4, device=runtime.device)
    assert product.dtype == runtime.dtype


FAULTS = """
import resource
import torch
from napari_sam2.predictor.runtime import keep_heap
kept = {ask} and keep_heap()
for _ in range(10):
    torch.zeros(20_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    torch.zeros(20_000_000)
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(int(kept), faults)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a setting of glibc")
def test_kept_memory_is_not_asked_for_again():
    """80 MB tensors are 19 531 pages each; kept ones are there already."""

    def run(ask):
        code = FAULTS.format(ask=ask)
        command = [sys.executable, "-c", code]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return tuple(int(word) for word in output.split())

    kept, faults = run(ask=True)
    if not kept:
        pytest.skip("this C library has no such setting")
    assert faults < 5_000
    _, faults_by_default = run(ask=False)
    assert faults_by_default > 10 * max(faults, 1)


def test_keep_heap_says_whether_it_did_anything():
    code = "from napari_sam2.predictor.runtime import keep_heap; print(keep_heap())"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert output in ("True", "False")
    assert callable(keep_heap)
