// Discovery from the command line, for tests against other implementations:
//   discovery_probe announce NAME PORT SECONDS     announces under an id made from NAME, then says goodbye
//   discovery_probe discover SECONDS               prints "NAME ID HOST:PORT[,HOST:PORT...]" a line for each found
#include <cstdlib>
#include <iostream>
#include <string>

#include <boost/asio/steady_timer.hpp>

#include "base/sha256.h"
#include "net/discovery.h"

namespace {

int fail(const shoal::Error& error) {
  std::cerr << "discovery_probe: " << error.message << "\n";
  return 1;
}

int announce(const std::string& name, int port, int seconds) {
  boost::asio::io_context io;
  const shoal::NodeId id{shoal::Sha256::of(shoal::as_bytes(name))};
  auto announcer = shoal::net::Announcer::start(io, name, id, static_cast<std::uint16_t>(port));
  if (!announcer.ok()) return fail(announcer.error());
  std::cout << id.hex() << std::endl;
  io.run_for(std::chrono::seconds(seconds));
  return 0;
}

int discover(int seconds) {
  boost::asio::io_context io;
  int result = 0;
  shoal::net::discover(io, std::chrono::seconds(seconds), [&](auto found) {
    if (!found.ok()) {
      result = fail(found.error());
      return;
    }
    for (const auto& one : *found) {
      std::cout << one.instance << " " << one.id.hex() << " ";
      for (const auto& endpoint : one.endpoints)
        std::cout << (&endpoint == &one.endpoints[0] ? "" : ",") << endpoint.text();
      std::cout << "\n";
    }
  });
  io.run();
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  if (mode == "announce" && argc == 5) return announce(argv[2], std::atoi(argv[3]), std::atoi(argv[4]));
  if (mode == "discover" && argc == 3) return discover(std::atoi(argv[2]));
  std::cerr << "usage: discovery_probe announce NAME PORT SECONDS | discover SECONDS\n";
  return 2;
}
