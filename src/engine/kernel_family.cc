// kernel_family(): what decides the bits of a result besides model and input.
#include <fmt/format.h>

#include "engine/stage.h"
#include "ggml-cpu.h"
#include "llama.h"

namespace shoal::engine {
namespace {

constexpr const char* kArchitecture =
#if defined(__x86_64__)
    "x86_64";
#elif defined(__aarch64__)
    "aarch64";
#elif defined(__arm__)
    "arm";
#elif defined(__riscv)
    "riscv";
#else
    "other";
#endif

// ggml picks kernels by these; the compiler because it may fuse multiplications and additions its own way.
struct Feature {
  const char* name;
  int (*has)();
};
constexpr Feature kFeatures[] = {
    {"sse3", ggml_cpu_has_sse3},
    {"ssse3", ggml_cpu_has_ssse3},
    {"avx", ggml_cpu_has_avx},
    {"avx2", ggml_cpu_has_avx2},
    {"f16c", ggml_cpu_has_f16c},
    {"fma", ggml_cpu_has_fma},
    {"bmi2", ggml_cpu_has_bmi2},
    {"avx_vnni", ggml_cpu_has_avx_vnni},
    {"avx512", ggml_cpu_has_avx512},
    {"avx512_vbmi", ggml_cpu_has_avx512_vbmi},
    {"avx512_vnni", ggml_cpu_has_avx512_vnni},
    {"avx512_bf16", ggml_cpu_has_avx512_bf16},
    {"amx_int8", ggml_cpu_has_amx_int8},
    {"neon", ggml_cpu_has_neon},
    {"arm_fma", ggml_cpu_has_arm_fma},
    {"fp16_va", ggml_cpu_has_fp16_va},
    {"dotprod", ggml_cpu_has_dotprod},
    {"i8mm", ggml_cpu_has_matmul_int8},
    {"sve", ggml_cpu_has_sve},
    {"sme", ggml_cpu_has_sme},
    {"riscv_v", ggml_cpu_has_riscv_v},
    {"llamafile", ggml_cpu_has_llamafile},
};

}  // namespace

std::string kernel_family() {
  std::string family = fmt::format("{} llama.cpp-{} {}", kArchitecture, llama_version(),
#if defined(__clang__)
                                   fmt::format("clang-{}", __clang_major__)
#else
                                   fmt::format("gcc-{}", __GNUC__)
#endif
  );
  for (const Feature& feature : kFeatures) {
    if (feature.has() != 0) family += fmt::format(" {}", feature.name);
  }
  if (ggml_cpu_has_sve() != 0) family += fmt::format(" sve{}", ggml_cpu_get_sve_cnt() * 8);
  return family;
}

}  // namespace shoal::engine
