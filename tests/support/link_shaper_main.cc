// shoal-link-shaper --listen 127.0.0.1:0 --to HOST:PORT [--delay-ms 2] [--jitter-ms 1] [--rate-mbit 100]
// Prints the port it listens on. Takes `stall`, `stall forth` (from who dials), `stall back`, `cut`, `resume` and
// `shape DELAY_MS JITTER_MS RATE_MBIT`, a line each, on standard input, and ends when that ends.
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read_until.hpp>

#include "net/transport.h"
#include "support/link_shaper.h"

namespace {

namespace asio = boost::asio;

asio::ip::tcp::endpoint numeric(const std::string& text) {
  const auto endpoint = shoal::net::Endpoint::parse(text);
  if (!endpoint.ok()) throw std::runtime_error(endpoint.error().message);
  return {asio::ip::make_address(endpoint->host), endpoint->port};
}

shoal::tests::LinkShape shape_of(double delay_ms, double jitter_ms, double rate_mbit) {
  const auto us = [](double ms) { return std::chrono::microseconds(static_cast<std::int64_t>(ms * 1000)); };
  return {us(delay_ms), us(jitter_ms), rate_mbit * 1e6};
}

std::optional<shoal::tests::LinkShape> new_shape(const std::string& command) {
  std::istringstream words(command);
  std::string verb;
  double delay_ms = -1, jitter_ms = -1, rate_mbit = -1;
  words >> verb >> delay_ms >> jitter_ms >> rate_mbit;
  if (verb != "shape" || !words || std::min({delay_ms, jitter_ms, rate_mbit}) < 0) return std::nullopt;
  return shape_of(delay_ms, jitter_ms, rate_mbit);
}

// Empty: another command.
std::vector<int> stalled_ways(const std::string& command) {
  using shoal::tests::LinkShaper;
  if (command == "stall") return {LinkShaper::kForth, LinkShaper::kBack};
  if (command == "stall forth") return {LinkShaper::kForth};
  if (command == "stall back") return {LinkShaper::kBack};
  return {};
}

void obey(asio::posix::stream_descriptor& input, std::string& line, shoal::tests::LinkShaper& shaper) {
  asio::async_read_until(input, asio::dynamic_buffer(line, 4096), '\n',
                         [&](boost::system::error_code error, std::size_t size) {
                           if (error) return shaper.end();
                           const std::string command = line.substr(0, size - 1);
                           line.erase(0, size);
                           if (const auto ways = stalled_ways(command); !ways.empty())
                             for (const int way : ways) shaper.stall(way);
                           else if (command == "cut")
                             shaper.cut();
                           else if (command == "resume")
                             shaper.resume();
                           else if (const auto shape = new_shape(command))
                             shaper.reshape(*shape);
                           else
                             std::cerr << "shoal-link-shaper: unknown command: " << command << "\n";
                           obey(input, line, shaper);
                         });
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("A slow link in user space: forwards TCP with delay, jitter and a rate");
  std::string listen = "127.0.0.1:0", to;
  double delay_ms = 0, jitter_ms = 0, rate_mbit = 0;
  app.add_option("--listen", listen, "where to accept connections");
  app.add_option("--to", to, "where they go")->required();
  app.add_option("--delay-ms", delay_ms, "one way")->check(CLI::Range(0.0, 60000.0));
  app.add_option("--jitter-ms", jitter_ms, "up to so much more, one way")->check(CLI::Range(0.0, 60000.0));
  app.add_option("--rate-mbit", rate_mbit, "each way; 0 is unlimited")->check(CLI::Range(0.0, 1e6));
  CLI11_PARSE(app, argc, argv);
  try {
    asio::io_context io;
    const auto shaper = std::make_shared<shoal::tests::LinkShaper>(io, numeric(listen), numeric(to),
                                                                   shape_of(delay_ms, jitter_ms, rate_mbit));
    shaper->start();
    std::cout << shaper->port() << std::endl;
    asio::posix::stream_descriptor input(io, ::dup(STDIN_FILENO));
    std::string line;
    obey(input, line, *shaper);
    io.run();
  } catch (const std::exception& error) {
    std::cerr << "shoal-link-shaper: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
