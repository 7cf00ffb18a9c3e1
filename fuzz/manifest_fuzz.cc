// A GGUF from outside: reading its manifest and planning cuts of it must answer, whatever the bytes are.
#include "base/assert.h"
#include "model/cut.h"
#include "model/manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace shoal;
  using namespace shoal::model;
  auto manifest = parse_manifest(ByteSpan(data, size), "fuzz.gguf");
  if (!manifest.ok()) {
    SHOAL_ASSERT(!manifest.error().message.empty());
    SHOAL_ASSERT(manifest.error().message.find('\n') == std::string::npos);
    return 0;
  }
  std::uint32_t layers = manifest->layer_count;
  SHOAL_ASSERT(manifest->cut_allowed.size() == layers + 1);
  SHOAL_ASSERT(manifest->stage_weight_bytes({0, layers}) <= size);
  static_cast<void>(manifest->stage_kv_bytes({0, layers}, 4096, KvType::kQ8_0));
  std::vector<Digest> hashes(manifest->tensors.size());
  std::uint32_t middle = layers / 2;
  for (LayerRange range : {LayerRange{0, layers}, {0, middle}, {middle, layers}, {middle, middle + 1}}) {
    auto cut = plan_cut(*manifest, range);
    if (!cut.ok()) continue;
    SHOAL_ASSERT(make_layout(*manifest, *cut, hashes).check().ok());
    for (const PieceSource& source : cut->sources) {
      SHOAL_ASSERT(!source.made.empty() || source.offset + source.size_bytes <= size);
    }
    // A shard's header describes a shard: it fails only because the weights behind it are not there.
    auto shard = parse_manifest(cut->sources[0].made, "shard.gguf");
    SHOAL_ASSERT(!shard.ok() && shard.error().code == ErrorCode::kCorrupt);
  }
  return 0;
}
