// What nodes tell of their devices, as a table for people: a row for each connected node that tells anything, a column
// for each matter that any of them knows, `-` where one of them does not. Within 100 characters for names of up to 14.
// From the answer of /shoal/v1/status; what misses in it is an exception, which print_answer() catches.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace shoal::cli {

// With its header, each line beginning with two spaces; "" when there is nothing to tell.
std::string device_table(const nlohmann::json& nodes);

// For the table of stages, whose row this is: "12", "3.4 ms" and "0.3 ms"; "-" where it is not known.
struct StageTexts {
  std::string queued;  // steps
  std::string step;    // what one takes to compute, lately
  std::string rtt;     // to the next stage's node, "" when there is no direct link
};
StageTexts stage_texts(const nlohmann::json& status, const nlohmann::json& stages, std::size_t stage);

}  // namespace shoal::cli
