"""The parsers of machine code and of ptxas' log, on text; occupancy against NVIDIA's own calculation."""

import subprocess

import pytest

from benchmarks.occupancy import occupancy
from benchmarks.sass import parse_ptxas, parse_sass
from benchmarks.toolchain import ToolError, find_nvcc

LISTING = """
	.section	.text._Z3onev,"ax",@progbits
.text._Z3onev:
        /*0000*/                   LDC R1, c[0x0][0x28] ;
        /*0010*/                   LDG.E.128.CONSTANT R4, desc[UR4][R2.64] ;
        /*0020*/              @!P0 LDG.E.64 R8, desc[UR4][R2.64+0x10] ;
        /*0030*/                   LDG.E R9, [R2.64] ;
        /*0040*/              @UP1 UIADD3 UR4, UR4, 0x1, URZ ;
        /*0050*/                   DFMA R4, R6, R8, R4 ;
        /*0060*/                   F2F.F64.F32 R6, R9 ;
        /*0070*/                   FFMA R4, R6, R8, R4 ;
        /*0080*/                   IMAD.MOV.U32 R1, RZ, RZ, c[0x0][0x28] ;
        /*0090*/                   IMAD.WIDE R2, R3, 0x4, R4 ;
.L_x_0:
        /*00a0*/                   BAR.SYNC.DEFER_BLOCKING 0x0 ;
        /*00b0*/              @!P1 BRA `(.L_x_0) ;
        /*00c0*/                   STG.E.U8 desc[UR4][R2.64], R9 ;
        /*00d0*/                   EXIT ;
        /*00e0*/                   NOP ;
	.section	.text._Z3twov,"ax",@progbits
.text._Z3twov:
        /*0000*/                   STL.64 [R1], R2 ;
        /*0010*/                   LDL.LU R2, [R1+0x4] ;
        /*0020*/                   LDS.128 R4, [R2] ;
        /*1030*/                   HMMA.16816.F32.BF16 R4, R8, R12, R4 ;
        /*1040*/                   HFMA2.MMA R4, -RZ, RZ, 0, 0 ;
        /*1050*/                   STG.E.ENL2.256 desc[UR4][R2.64], R8, R12 ;
"""


def one(opcode):
    return parse_sass(f".text.k:\n        /*0000*/                   {opcode} R0, [R2] ;")["k"]


def test_dot_products_of_bytes_are_listed():
    for opcode in ("IDP.2A.LO.S16.U8", "IDP.4A.U8.U8", "IDP.2A.HI.U16.U8.RELU"):
        assert one(opcode).byte_dots == 1 and one(opcode).integer == 0
    assert one("IMAD.WIDE").byte_dots == 0


def test_functions_are_counted_apart():
    functions = parse_sass(LISTING)
    assert list(functions) == ["_Z3onev", "_Z3twov"]
    first, second = functions.values()
    assert (first.instructions, first.global_loads, first.load_width) == (14, 3, 16)
    assert (first.global_stores, first.store_width, first.barriers, first.branch) == (1, 1, 1, 1)
    assert (first.fp64, first.fp32, first.integer) == (2, 1, 2)
    assert (first.local_accesses, first.tensor_core) == (0, 0)
    assert (second.local_accesses, second.tensor_core, second.global_loads) == (2, 1, 0)
    assert second.store_width == 32


@pytest.mark.parametrize(
    "opcode,loads,stores",
    [
        ("LDG.E", 4, 0),
        ("LDG.E.CONSTANT", 4, 0),
        ("LDG.E.U16.CONSTANT", 2, 0),
        ("LDG.E.S8", 1, 0),
        ("LDG.E.LTC128B.64", 8, 0),
        ("LDGSTS.E.BYPASS.LTC128B.128", 16, 0),
        ("LD.E.64", 8, 0),
        ("UBLKCP.S.G", 16, 0),
        ("UTMALDG.2D", 16, 0),
        ("STG.E.128", 0, 16),
        ("STG.E.EF.64", 0, 8),
        ("UBLKCP.G.S", 0, 16),
        ("UTMASTG.2D", 0, 16),
        ("LDS.128", 0, 0),
        ("LDC.64", 0, 0),
    ],
)
def test_width(opcode, loads, stores):
    mix = one(opcode)
    assert (mix.load_width, mix.store_width) == (loads, stores)
    assert (mix.global_loads, mix.global_stores) == (int(loads > 0), int(stores > 0))


@pytest.mark.parametrize("opcode", ["HMMA.16816.F32", "IMMA.16832.S8.S8", "DMMA.884", "HGMMA.64x64x16.F32", "UTCHMMA"])
def test_tensor_core(opcode):
    assert one(opcode).tensor_core == 1


def test_ptxas_log():
    log = """ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_Z3onev' for 'sm_80'
ptxas info    : Function properties for _Z3onev
    8 bytes stack frame, 8 bytes spill stores, 12 bytes spill loads
ptxas info    : Used 64 registers, used 1 barriers, 8 bytes cumulative stack size, 512 bytes smem, 392 bytes cmem[0]
ptxas-blackwell info    : Compiling entry function 'two' for 'sm_90a'
ptxas-blackwell info    : Function properties for two
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas-blackwell info    : Used 40 registers, used 1 barriers
"""
    first, second = parse_ptxas(log).values()
    assert (first.registers, first.spill_bytes, first.stack_bytes, first.shared_bytes) == (64, 20, 8, 512)
    assert (second.registers, second.spill_bytes, second.stack_bytes, second.shared_bytes) == (40, 0, 0, 0)
    with pytest.raises(ValueError, match="_Z3onev"):
        parse_ptxas("Compiling entry function '_Z3onev' for 'sm_80'")


def test_occupancy_by_hand():
    # 40 registers: 1,280 a warp, 12 warps in each quarter of 16,384, 48 of 64: 6 blocks of 8 warps
    assert occupancy(90, threads=256, registers=40, shared_bytes=512) == 48 / 64
    # 100 KB and the system's 1 KB: one block of 4 warps in 164 KB, two in 228 KB
    assert occupancy(80, threads=128, registers=32, shared_bytes=100 * 1024) == 4 / 64
    assert occupancy(100, threads=128, registers=32, shared_bytes=100 * 1024) == 8 / 64
    assert occupancy(80, threads=1024, registers=255, shared_bytes=0) == 0  # does not fit


def test_occupancy_refuses_what_it_does_not_know():
    with pytest.raises(ValueError, match="arch.*75"):
        occupancy(75, threads=128, registers=32, shared_bytes=0)
    with pytest.raises(ValueError, match="threads.*0"):
        occupancy(80, threads=0, registers=32, shared_bytes=0)


NVIDIA = """
#include <cuda_occupancy.h>
#include <cstdio>
int main() {
  const int archs[3] = {80, 90, 100}, shared_kb[3] = {164, 228, 228};
  for (int a = 0; a < 3; ++a)
    for (int threads : {32, 96, 128, 256, 512, 1024})
      for (int registers = 16; registers <= 255; registers += 7)
        for (int shared : {0, 512, 5000, 33000, 100000}) {
          cudaOccDeviceProp device;
          device.computeMajor = archs[a] / 10, device.computeMinor = archs[a] % 10;
          device.maxThreadsPerBlock = 1024, device.maxThreadsPerMultiprocessor = 2048;
          device.regsPerBlock = device.regsPerMultiprocessor = 65536, device.warpSize = 32;
          device.sharedMemPerBlock = 48 * 1024, device.sharedMemPerMultiprocessor = shared_kb[a] * 1024;
          device.sharedMemPerBlockOptin = (shared_kb[a] - 1) * 1024, device.reservedSharedMemPerBlock = 1024;
          device.numSms = 1;
          cudaOccFuncAttributes kernel;
          kernel.maxThreadsPerBlock = 1024, kernel.numRegs = registers, kernel.sharedSizeBytes = 0;
          kernel.shmemLimitConfig = FUNC_SHMEM_LIMIT_OPTIN, kernel.maxDynamicSharedSizeBytes = 227 * 1024;
          cudaOccDeviceState state;
          cudaOccResult result;
          if (cudaOccMaxActiveBlocksPerMultiprocessor(&result, &device, &kernel, &state, threads, shared)) return 1;
          std::printf("%d %d %d %d %d\\n", archs[a], threads, registers, shared,
                      result.activeBlocksPerMultiprocessor * (threads / 32));
        }
}
"""


def test_occupancy_agrees_with_nvidias_header(tmp_path):
    try:
        nvcc = find_nvcc()
    except ToolError as missing:
        pytest.skip(str(missing))
    if not (nvcc.parent.parent / "include" / "cuda_occupancy.h").is_file():
        pytest.skip("this CUDA toolkit has no cuda_occupancy.h")
    (tmp_path / "truth.cu").write_text(NVIDIA)
    subprocess.run([nvcc, "-o", tmp_path / "truth", tmp_path / "truth.cu"], check=True, capture_output=True)
    lines = subprocess.run([tmp_path / "truth"], check=True, capture_output=True, text=True).stdout.splitlines()
    assert len(lines) > 1000
    for line in lines:
        arch, threads, registers, shared, warps = map(int, line.split())
        assert occupancy(arch, threads, registers, shared) == warps / 64, line
