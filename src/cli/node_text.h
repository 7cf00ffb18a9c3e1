// A node of GET /shoal/v1/status in words, for `shoal status` and `shoal node list`.
#pragma once

#include <string>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace shoal::cli {

// "connected", "away", "away, paused"; of a connected node that is to host nothing "paused" or "drained".
inline std::string node_state_text(const nlohmann::json& node) {
  const std::string state = node.value("state", "");
  const bool connected = state == "connected";
  if (node.value("paused", false)) return connected ? "paused" : state + ", paused";
  const bool drained = node.contains("care") && node["care"].value("drained", false);
  return drained && connected ? "drained" : state;
}

// "phone3 is drained: battery 14 %, below its 20 %"; "" where all is well, or the node is away.
inline std::string care_text(const nlohmann::json& node) {
  if (!node.contains("care") || node.value("state", "") != "connected") return "";
  const auto& care = node["care"];
  const int permille = care.value("share_permille", 1000);
  const std::string name = node.value("name", "");
  const std::string reason = care.value("reason", "");
  if (care.value("drained", false)) return fmt::format("{} is drained: {}", name, reason);
  return permille < 1000 ? fmt::format("{} gets {} % of its work: {}", name, permille / 10, reason) : "";
}

}  // namespace shoal::cli
