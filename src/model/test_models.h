// For the tests of this folder: a folder of their own, and small random models in it.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "make_model/make_model.h"
#include "model/manifest.h"

namespace shoal::model {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "shoal-model-XXXXXX").string();
    if (::mkdtemp(pattern.data()) != nullptr) path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code error;
    if (!path_.empty()) std::filesystem::remove_all(path_, error);
  }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// A few layers over Llama's vocabulary of 32000 tokens: 5 to 20 MB, made in some 20 ms.
inline tools::ModelOptions small_model(const std::string& architecture) {
  tools::ModelOptions options;
  options.architecture = architecture;
  options.layers = 6;
  options.threads = 1;
  options.experts = 0;
  if (architecture == "olmoe") options.kv_heads = options.heads;
  // llama.cpp looks for phi3's own end tokens; the others take any vocabulary, so the smallest.
  std::string vocabulary = architecture == "phi3" ? "/ggml-vocab-phi-3.gguf" : "/ggml-vocab-llama-spm.gguf";
  options.vocabulary = SHOAL_VOCABULARY_DIR + vocabulary;
  return options;
}

inline std::vector<std::filesystem::path> write_model(const tools::ModelOptions& options,
                                                      const std::filesystem::path& out) {
  auto files = tools::make_model(options, out);
  EXPECT_TRUE(files.ok()) << files.error().message;
  return files.ok() ? *files : std::vector<std::filesystem::path>{};
}

inline Manifest manifest_of(const std::filesystem::path& path) {
  auto manifest = read_manifest(path);
  EXPECT_TRUE(manifest.ok()) << manifest.error().message;
  return manifest.ok() ? std::move(*manifest) : Manifest{};
}

}  // namespace shoal::model
