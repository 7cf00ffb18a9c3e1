// `shoal`: one program for the coordinator, the nodes and the person who looks after them.
#include <cstdio>
#include <cstdlib>

#include "base/bytes.h"
#include "cli/verb.h"

namespace shoal::cli {

void fail(Context& context, const Error& error) {
  std::fprintf(stderr, "shoal: %s\n", error.message.c_str());
  context.exit_code = 1;
}

void finish(Context& context, const Status& status) {
  if (!status.ok()) fail(context, status.error());
}

std::filesystem::path default_state_directory(const std::string& role) {
  auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::filesystem::path(value ? value : "");
  };
  std::filesystem::path root = variable("SHOAL_STATE_DIR");
  if (root.empty() && !variable("XDG_STATE_HOME").empty()) root = variable("XDG_STATE_HOME") / "shoal";
  if (root.empty()) root = variable("HOME") / ".local" / "state" / "shoal";
  return root / role;
}

std::string check_size(const std::string& text) {
  auto size = parse_size(text);
  return size.ok() ? std::string() : size.error().message;
}

}  // namespace shoal::cli

int main(int argc, char** argv) {
  using shoal::LogLevel;
  CLI::App app("Shoal: one LLM server out of a drawer of old phones.");
  app.set_version_flag("--version", std::string("shoal ") + shoal::cli::kVersion);
  app.require_subcommand(1);
  app.fallthrough();
  shoal::cli::Context context;
  app.add_option("--log", context.log_level, "What is logged to stderr: debug, info, warning, error, off")
      ->check(CLI::IsMember({"debug", "info", "warning", "error", "off"}))
      ->capture_default_str();
  app.parse_complete_callback([&context] {
    const std::map<std::string, LogLevel> levels = {{"debug", LogLevel::kDebug},
                                                    {"info", LogLevel::kInfo},
                                                    {"warning", LogLevel::kWarning},
                                                    {"error", LogLevel::kError},
                                                    {"off", LogLevel::kOff}};
    shoal::log_start(levels.at(context.log_level));
  });
  shoal::cli::add_serve(app, context);
  shoal::cli::add_join(app, context);
  shoal::cli::add_token(app, context);
  shoal::cli::add_node(app, context);
  shoal::cli::add_status(app, context);
  shoal::cli::add_events(app, context);
  shoal::cli::add_trace(app, context);
  shoal::cli::add_bench(app, context);
  shoal::cli::add_chat(app, context);
  shoal::cli::add_run(app, context);
  shoal::cli::add_model(app, context);
  shoal::cli::add_discover(app, context);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    int code = app.exit(error);
    return code == 0 ? 0 : 2;
  }
  return context.exit_code;
}
