// What the files of the verbs share. Each registers its subcommand; the callback does the work and leaves the exit
// code.
#pragma once

#include <filesystem>
#include <string>

#include <CLI/CLI.hpp>

#include "base/log.h"
#include "base/result.h"

namespace shoal::cli {

struct Context {
  int exit_code = 0;
  std::string log_level = "warning";
};

void add_serve(CLI::App& app, Context& context);
void add_join(CLI::App& app, Context& context);
void add_token(CLI::App& app, Context& context);
void add_node(CLI::App& app, Context& context);
void add_status(CLI::App& app, Context& context);
void add_events(CLI::App& app, Context& context);
void add_trace(CLI::App& app, Context& context);
void add_bench(CLI::App& app, Context& context);
void add_chat(CLI::App& app, Context& context);
void add_run(CLI::App& app, Context& context);
void add_model(CLI::App& app, Context& context);
void add_discover(CLI::App& app, Context& context);

// "shoal: MESSAGE" on stderr, exit code 1.
void fail(Context& context, const Error& error);
// Exit code 1 and the error's line when there is one.
void finish(Context& context, const Status& status);

// Where a coordinator or a node keeps its state when --state is not given: $SHOAL_STATE_DIR or $XDG_STATE_HOME/shoal or
// ~/.local/state/shoal, and in it `role`.
std::filesystem::path default_state_directory(const std::string& role);

// CLI11 validator: a size as parse_size takes it.
std::string check_size(const std::string& text);

inline constexpr const char* kVersion = "0.1.0";

}  // namespace shoal::cli
