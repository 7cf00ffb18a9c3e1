// For the tests of this folder: a node that does what the test says, over a real link on loopback.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include <gtest/gtest.h>
#include <boost/asio/io_context.hpp>

#include "net/test_loop.h"
#include "net/transport.h"

namespace shoal::coordinator::test {

using net::test::run_until;

class ScriptedNode {
 public:
  explicit ScriptedNode(boost::asio::io_context& io) : io_(io), transport_(io, net::Identity::generate()) {}

  const NodeId& id() const { return transport_.identity().id(); }

  // A new link with this first frame; the one before stays open if `link` is held elsewhere.
  std::shared_ptr<net::Link> open(const net::Endpoint& endpoint, const NodeId& coordinator,
                                  const wire::Message& first) {
    std::optional<Result<std::shared_ptr<net::Link>>> dialled;
    transport_.dial(endpoint, coordinator, std::chrono::seconds(10), [&](auto result) { dialled = std::move(result); });
    if (!run_until(io_, [&] { return dialled.has_value(); }) || !dialled->ok()) {
      ADD_FAILURE() << "cannot dial";
      return nullptr;
    }
    link = **dialled;
    frames.clear();
    closed.reset();
    net::Link::Handlers handlers;
    handlers.on_frame = [this, which = link.get()](wire::Frame frame) {
      if (which == link.get()) frames.push_back(std::move(frame));
    };
    handlers.on_closed = [this, which = link.get()](const Error& error) {
      if (which == link.get()) closed = error;
    };
    link->start(std::move(handlers));
    link->send(first);
    return link;
  }
  void send(const wire::Message& message, Bytes raw = {}) {
    link->send(message, std::make_shared<const Bytes>(std::move(raw)));
  }

  template <typename T>
  std::vector<T> all() const {
    std::vector<T> found;
    for (const auto& frame : frames) {
      if (const auto* one = std::get_if<T>(&frame.message)) found.push_back(*one);
    }
    return found;
  }
  template <typename T>
  bool has() const {
    return !all<T>().empty();
  }

  std::shared_ptr<net::Link> link;
  std::vector<wire::Frame> frames;  // of the newest link
  std::optional<Error> closed;      // the newest link was

 private:
  boost::asio::io_context& io_;
  net::Transport transport_;
};

}  // namespace shoal::coordinator::test
