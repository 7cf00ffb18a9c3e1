// `shoal events`: what happened to which phone, what the shoal did about it, how long it took.
#include <charconv>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <thread>

#include <fmt/chrono.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include "cli/api_client.h"
#include "cli/verb.h"
#include "coordinator/event.h"

namespace shoal::cli {
namespace {

using coordinator::kEventsPerPageMax;
using nlohmann::json;

constexpr std::size_t kNameWidthMax = 20;
constexpr std::size_t kColumnsMin = 60;
constexpr int kFollowWait_s = 30;  // how long the coordinator holds a request that has nothing to tell
constexpr std::chrono::seconds kTryAgainAfter{1};

struct Options {
  std::string state;
  bool follow = false;
  std::string since;
  std::uint64_t last = 0;  // 0: not given
  bool json = false;
};

// "90s", "10m", "2h", "3d"
Result<std::chrono::seconds> parse_duration(const std::string& text) {
  std::int64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit(end, text.data() + text.size());
  const std::int64_t unit_s = unit == "s" ? 1 : unit == "m" ? 60 : unit == "h" ? 3600 : unit == "d" ? 86400 : 0;
  const std::int64_t max_s = coordinator::kEventsSinceMax.count();
  if (failure != std::errc() || unit_s == 0 || number < 1 || number > max_s / unit_s) {
    return Error{
        ErrorCode::kInvalidArgument,
        fmt::format("{} is no duration: it is a number and s, m, h or d, as in 10m, up to {}d", text, max_s / 86400)};
  }
  return std::chrono::seconds(number * unit_s);
}

std::size_t width_of(std::string_view text) {  // in characters
  std::size_t width = 0;
  for (const char byte : text) width += (static_cast<unsigned char>(byte) & 0xc0) != 0x80;
  return width;
}

// 0: not a terminal, lines are as long as they are.
std::size_t terminal_columns() {
  winsize size{};
  if (::isatty(STDOUT_FILENO) == 0 || ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 0;
  return std::max<std::size_t>(size.ws_col, kColumnsMin);
}

// Lines of one form: time, node, sentence; a line with the date where the day is another one.
class Printer {
 public:
  explicit Printer(bool as_json) : as_json_(as_json), columns_(terminal_columns()), day_(day_of(std::time(nullptr))) {}

  // Throws json::exception where the events are another version's.
  void print(const json& events) {
    for (const json& event : events) {
      if (event.at("node_name").is_string()) {
        name_width_ = std::max(name_width_, std::min(width_of(name_of(event)), kNameWidthMax));
      }
    }
    for (const json& event : events) as_json_ ? print_json(event) : print_line(event);
    std::fflush(stdout);
  }

 private:
  static std::tm local(std::time_t time) {
    std::tm broken_down{};
    ::localtime_r(&time, &broken_down);
    return broken_down;
  }
  static std::string day_of(std::time_t time) { return fmt::format("{:%Y-%m-%d}", local(time)); }
  static std::string name_of(const json& event) {
    return event.at("node_name").is_string() ? event.at("node_name").get<std::string>() : std::string();
  }

  static void print_json(const json& event) { std::printf("%s\n", event.dump().c_str()); }

  void print_line(const json& event) {
    const std::time_t time = event.at("unix_ms").get<std::int64_t>() / 1000;
    if (std::string day = day_of(time); day != day_) {
      std::printf("%s\n", day.c_str());
      day_ = std::move(day);
    }
    const std::string name = name_of(event);
    const std::size_t pad = name_width_ - std::min(width_of(name), name_width_);
    std::string line = fmt::format("{:%H:%M:%S}  {}{:{}}  ", local(time), name, "", pad);
    if (name_width_ == 0) line.resize(line.size() - 2);
    const std::size_t indent = width_of(line);
    std::string text = event.at("text").get<std::string>();
    if (const auto times = event.at("times").get<std::uint32_t>(); times > 1) text += fmt::format(" ({} times)", times);
    std::printf("%s%s\n", line.c_str(), wrapped(text, indent).c_str());
  }

  // Further lines stand below the first one.
  std::string wrapped(std::string_view text, std::size_t indent) const {
    if (columns_ == 0 || indent + width_of(text) <= columns_) return std::string(text);
    std::string lines;
    std::size_t at = indent;
    while (!text.empty()) {
      const std::string_view word = text.substr(0, text.find(' '));
      text.remove_prefix(std::min(word.size() + 1, text.size()));
      if (at > indent && at + 1 + width_of(word) > columns_) {
        lines += "\n" + std::string(indent, ' ');
        at = indent;
      } else if (at > indent) {
        lines += ' ';
        ++at;
      }
      lines += word;
      at += width_of(word);
    }
    return lines;
  }

  const bool as_json_;
  const std::size_t columns_;
  std::size_t name_width_ = 0;
  std::string day_;  // of the line before; at first today
};

// Pages until there is nothing more; the number to go on from, and how many were printed.
struct Printed {
  std::uint64_t after = 0;
  std::size_t count = 0;
};
Result<Printed> print_pages(ApiClient& client, std::string query, const std::string& and_also, Printer& printer) {
  Printed printed;
  while (true) {
    SHOAL_ASSIGN_OR_RETURN(json page, client.get("/shoal/v1/events?" + query + and_also));
    try {
      const json& events = page.at("events");
      printer.print(events);
      printed.count += events.size();
      printed.after =
          events.empty() ? page.at("newest").get<std::uint64_t>() : events.back().at("number").get<std::uint64_t>();
      if (events.empty() || printed.after >= page.at("newest").get<std::uint64_t>()) return printed;
    } catch (const json::exception& error) {  // another version's answer
      return Error{ErrorCode::kVersionMismatch,
                   fmt::format("the coordinator's events are not understood: {}", error.what())};
    }
    query = fmt::format("after={}&limit={}", printed.after, kEventsPerPageMax);
  }
}

Result<Printed> print_past(ApiClient& client, const Options& options, Printer& printer) {
  if (!options.since.empty()) {
    SHOAL_ASSIGN_OR_RETURN(const auto since, parse_duration(options.since));
    return print_pages(client, fmt::format("limit={}", kEventsPerPageMax), fmt::format("&since_s={}", since.count()),
                       printer);
  }
  const std::uint64_t last = options.last > 0 ? options.last : options.follow ? 10 : 50;
  if (last <= kEventsPerPageMax) return print_pages(client, fmt::format("limit={}", last), "", printer);
  SHOAL_ASSIGN_OR_RETURN(const json newest, client.get("/shoal/v1/events?limit=1"));
  const auto number = newest.value("newest", std::uint64_t{0});
  return print_pages(client, fmt::format("after={}&limit={}", number - std::min(number, last), kEventsPerPageMax), "",
                     printer);
}

// Every line was flushed: there is nothing to lose.
void leave(int /*signal*/) {
  ::_exit(0);
}

// Until a signal ends the process. A coordinator that ends is waited for: what happens next is what one follows for.
Status follow(const Options& options, std::uint64_t after, Printer& printer) {
  bool waiting = false;
  while (std::ferror(stdout) == 0) {
    const auto step = [&]() -> Status {
      SHOAL_ASSIGN_OR_RETURN(ApiClient client, ApiClient::of(options.state));
      const auto query = fmt::format("after={}&limit={}", after, kEventsPerPageMax);
      SHOAL_ASSIGN_OR_RETURN(
          const auto printed,
          print_pages(client, query, waiting ? "" : fmt::format("&wait_s={}", kFollowWait_s), printer));
      after = printed.after;
      return {};
    };
    const Status status = step();
    if (status.ok()) {
      waiting = false;
      continue;
    }
    // One that begins anew has no address for a moment.
    if (status.error().code != ErrorCode::kUnavailable && status.error().code != ErrorCode::kNotFound) return status;
    if (!waiting) std::fprintf(stderr, "shoal: %s; waiting for it\n", status.error().message.c_str());
    waiting = true;
    std::this_thread::sleep_for(kTryAgainAfter);
  }
  return {};
}

Status events(const Options& options) {
  if (options.follow) {
    std::signal(SIGINT, leave);
    std::signal(SIGTERM, leave);
  }
  SHOAL_ASSIGN_OR_RETURN(ApiClient client, ApiClient::of(options.state));
  Printer printer(options.json);
  SHOAL_ASSIGN_OR_RETURN(const Printed past, print_past(client, options, printer));
  if (options.follow) return follow(options, past.after, printer);
  if (past.count == 0 && !options.json) {
    std::printf("no events%s\n", options.since.empty() ? "" : (" in the last " + options.since).c_str());
  }
  return {};
}

}  // namespace

void add_events(CLI::App& app, Context& context) {
  auto options = std::make_shared<Options>();
  auto* verb = app.add_subcommand("events", "What happened to which node, and what the shoal did about it");
  verb->add_flag("--follow", options->follow, "Go on with what happens from now on, until interrupted");
  auto* since = verb->add_option("--since", options->since, "Of the last so many s, m, h or d, as in 10m");
  since->check([](const std::string& text) {
    const auto duration = parse_duration(text);
    return duration.ok() ? std::string() : duration.error().message;
  });
  verb->add_option("--last", options->last, "The last so many (default: 50, with --follow 10)")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{coordinator::kEventsKeptMax}))
      ->excludes(since);
  verb->add_flag("--json", options->json, "As JSON, one event a line");
  verb->add_option("--state", options->state, "State directory of the coordinator");
  verb->callback([options, &context] { finish(context, events(*options)); });
}

}  // namespace shoal::cli
