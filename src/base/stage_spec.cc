#include "base/stage_spec.h"

#include <algorithm>

namespace shoal {
namespace {

template <typename Enum, std::size_t N>
std::optional<Enum> parse(const std::array<std::string_view, N>& names, std::string_view text) {
  auto found = std::find(names.begin(), names.end(), text);
  if (found == names.end()) return std::nullopt;
  return static_cast<Enum>(found - names.begin());
}

}  // namespace

std::optional<KvType> parse_kv_type(std::string_view text) {
  return parse<KvType>(kKvTypeNames, text);
}
std::optional<ExactMode> parse_exact_mode(std::string_view text) {
  return parse<ExactMode>(kExactModeNames, text);
}

}  // namespace shoal
