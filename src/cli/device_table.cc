#include "cli/device_table.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "base/bytes.h"

namespace shoal::cli {
namespace {

using nlohmann::json;

constexpr double kStaleAfterS = 2;  // four reports that did not come

std::optional<double> number(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_number() ? std::optional(found->get<double>()) : std::nullopt;
}

std::string percent_of_permille(std::optional<double> permille) {
  return permille ? fmt::format("{:.0f} %", *permille / 10) : "-";
}

// "84 % charging, 2.1 W"
std::string battery_cell(const json& telemetry) {
  std::string text;
  if (const auto percent = number(telemetry, "battery_percent")) text = fmt::format("{:.0f} %", *percent);
  if (const auto state = telemetry.find("battery_state"); state != telemetry.end() && state->is_string()) {
    text += fmt::format("{}{}", text.empty() ? "" : " ", state->get<std::string>());
  }
  if (const auto power = number(telemetry, "battery_power_mw")) {
    text += fmt::format("{}{:.1f} W", text.empty() ? "" : ", ", std::abs(*power) / 1000);
  }
  return text.empty() ? "-" : text;
}

// Of all that it has sensors for.
std::string hottest_cell(const json& telemetry) {
  std::optional<double> hottest;
  for (const char* name : {"cpu_millicelsius", "skin_millicelsius", "battery_millicelsius"}) {
    if (const auto each = number(telemetry, name)) hottest = std::max(*each, hottest.value_or(*each));
  }
  return hottest ? fmt::format("{:.0f} °C", *hottest / 1000) : "-";
}

std::string throttled_cell(const json& telemetry) {
  const auto throttled = telemetry.find("throttled");
  if (throttled == telemetry.end() || !throttled->is_boolean()) return "-";
  if (!throttled->get<bool>()) return "no";
  const auto limit = number(telemetry, "cpu_limit_permille");
  return limit && *limit < 1000 ? fmt::format("to {:.0f} %", *limit / 10) : "yes";
}

std::string own_cell(const json& telemetry) {
  return percent_of_permille(number(telemetry, "cpu_own_permille"));
}
std::string others_cell(const json& telemetry) {
  return percent_of_permille(number(telemetry, "cpu_others_permille"));
}

std::string memory_cell(const json& telemetry) {
  const auto bytes = number(telemetry, "memory_available_bytes");
  return bytes ? format_size(static_cast<std::uint64_t>(*bytes)) : "-";
}

std::string pressure_cell(const json& telemetry) {
  const auto permille = number(telemetry, "memory_some_permille");
  return permille ? fmt::format("{:.1f} %", *permille / 10) : "-";
}

// A node that hangs keeps its last words for a while; they are not of now.
std::string age_cell(const json& telemetry) {
  const double age_s = number(telemetry, "age_s").value_or(0);
  return age_s > kStaleAfterS ? fmt::format("{:.0f} s ago", age_s) : "-";
}

struct Column {
  const char* title;
  std::string (*cell)(const json& telemetry);
};
constexpr std::array<Column, 8> kColumns = {{{"battery", battery_cell},
                                             {"hottest", hottest_cell},
                                             {"throttled", throttled_cell},
                                             {"CPU own", own_cell},
                                             {"others", others_cell},
                                             {"memory left", memory_cell},
                                             {"pressure", pressure_cell},
                                             {"told", age_cell}}};

// In characters on a terminal: UTF-8's continuation bytes take no place.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char byte) { return (static_cast<unsigned char>(byte) & 0xc0) != 0x80; }));
}

using Row = std::vector<std::string>;

// Without the columns that say nothing in any row.
std::vector<Row> telling_columns(const std::vector<Row>& rows) {
  std::vector<Row> kept(rows.size());
  for (std::size_t column = 0; column < rows[0].size(); ++column) {
    const auto tells = [&](const Row& row) { return row[column] != "-"; };
    if (std::none_of(rows.begin() + 1, rows.end(), tells)) continue;
    for (std::size_t i = 0; i < rows.size(); ++i) kept[i].push_back(rows[i][column]);
  }
  return kept;
}

std::string text_of(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths(rows[0].size());
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  std::string text;
  for (const Row& row : rows) {
    std::string line = " ";
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += " " + row[i];
      if (i + 1 < row.size()) line.append(widths[i] - width_of(row[i]) + 1, ' ');
    }
    text += line + "\n";
  }
  return text;
}

// What the node of this stage tells of it, of the stage's layers.
const json* stage_telemetry(const json& status, const json& stage) {
  for (const auto& node : status.at("nodes")) {
    if (node.at("id") != stage.at("node") || !node.at("telemetry").is_object()) continue;
    for (const auto& each : node.at("telemetry").at("stages")) {
      if (each.at("layers") == stage.at("layers")) return &each;
    }
  }
  return nullptr;
}

std::string ms_of_us(std::optional<double> us) {
  if (!us) return "-";
  return fmt::format("{:.{}f} ms", *us / 1000, *us < 100'000 ? 1 : 0);
}

}  // namespace

std::string device_table(const json& nodes) {
  std::vector<Row> rows(1, Row{"device"});
  for (const Column& column : kColumns) rows[0].push_back(column.title);
  for (const auto& node : nodes) {
    const auto telemetry = node.find("telemetry");
    if (node.value("state", "") != "connected" || telemetry == node.end() || !telemetry->is_object()) continue;
    Row row{node.value("name", "")};
    for (const Column& column : kColumns) row.push_back(column.cell(*telemetry));
    const auto tells = [](const std::string& cell) { return cell != "-"; };
    if (std::any_of(row.begin() + 1, row.end(), tells)) rows.push_back(std::move(row));
  }
  return rows.size() > 1 ? text_of(telling_columns(rows)) : "";
}

StageTexts stage_texts(const json& status, const json& stages, std::size_t index) {
  StageTexts texts{"-", "-", ""};
  if (const json* told = stage_telemetry(status, stages[index])) {
    if (const auto queued = number(*told, "steps_queued")) texts.queued = fmt::format("{:.0f}", *queued);
    texts.step = ms_of_us(number(*told, "step_us"));
  }
  if (index + 1 >= stages.size()) return texts;
  for (const auto& node : status.at("nodes")) {
    if (node.at("id") != stages[index].at("node") || !node.at("telemetry").is_object()) continue;
    for (const auto& neighbour : node.at("telemetry").at("neighbours")) {
      const auto rtt = number(neighbour, "rtt_us");
      if (neighbour.at("node") == stages[index + 1].at("node") && rtt) texts.rtt = ms_of_us(rtt);
    }
  }
  return texts;
}

}  // namespace shoal::cli
