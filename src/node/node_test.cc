// Goal: a node tells peers where it can be dialled, and keeps its links while it reads a large file. How: a real node,
// and a peer on loopback that answers as a coordinator does.
#include "node/node.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "node/node_test_support.h"

namespace shoal::node {
namespace {

using ::testing::HasSubstr;

class NodeTest : public ::testing::Test {
 protected:
  NodeTest()
      : coordinator_(io_, [this](const std::shared_ptr<net::Link>& link, const wire::Frame& first) {
          links_.push_back(link);
          link->start({});
          if (std::holds_alternative<wire::JoinRequest>(first.message)) link->send(wire::JoinAccepted{"coordinator"});
          if (const auto* hello = std::get_if<wire::Hello>(&first.message)) {
            hello_ = *hello;
            link->send(wire::Welcome{500, "coordinator"});
          }
        }) {}

  NodeOptions options() {
    NodeOptions options;
    options.state_directory = folder_ / "node";
    options.join_link = net::JoinLink{{coordinator_.endpoint()}, coordinator_.id(), Bytes(net::kJoinSecretBytes)};
    options.name = "node";
    options.listen = {"127.0.0.1", 0};
    return options;
  }
  void create(NodeOptions options) {
    auto node = Node::create(
        io_, std::move(options), [this](const Error& error) { fatal_ = error; },
        [this](const NodeEvent& event) { connected_ = connected_ || event.kind == NodeEvent::Kind::kConnected; });
    ASSERT_TRUE(node.ok()) << node.error().message;
    node_ = std::move(*node);
  }

  model::TemporaryFolder folder_;
  boost::asio::io_context io_;
  std::vector<std::shared_ptr<net::Link>> links_;
  test::Peer coordinator_;
  std::optional<wire::Hello> hello_;
  std::optional<Error> fatal_;
  bool connected_ = false;
  std::unique_ptr<Node> node_;
};

// The disk that has the model does not answer for a while: a pipe takes the file's place, and opening it waits.
TEST_F(NodeTest, ConnectsWhileItHashesItsOwnModel) {
  auto model_options = model::small_model("llama");
  model_options.layers = 1;
  const auto file = model::write_model(model_options, folder_ / "model.gguf").at(0);
  auto with_model = options();
  with_model.model = file;
  create(with_model);
  std::filesystem::remove(file);
  ASSERT_EQ(::mkfifo(file.c_str(), 0600), 0);
  node_->start();
  test::Ticks ticks(io_);
  ASSERT_TRUE(test::run_until(io_, [&] { return connected_; }));
  EXPECT_FALSE(fatal_);
  FileDescriptor end;  // of the pipe; can be had once somebody waits for it
  ASSERT_TRUE(test::run_until(io_, [&] {
    end = FileDescriptor(::open(file.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
    return end.open();
  }));
  ASSERT_TRUE(test::run_until(io_, [&] { return fatal_.has_value(); })) << "a pipe cannot be read in places";
  EXPECT_THAT(fatal_->message, HasSubstr(file.string()));
}

// What a node with these options tells about its address.
class NodeAnnounces : public NodeTest {
 protected:
  wire::Hello hello_of(const net::Endpoint& listen, std::optional<net::Endpoint> announce = {}) {
    auto listening = options();
    listening.listen = listen;
    listening.announce = std::move(announce);
    create(std::move(listening));
    node_->start();
    EXPECT_TRUE(test::run_until(io_, [&] { return hello_.has_value(); }));
    return hello_.value_or(wire::Hello());
  }
};

TEST_F(NodeAnnounces, TheAddressThatItListensOn) {
  const auto hello = hello_of({"127.0.0.2", 0});
  EXPECT_EQ(hello.addresses, std::vector<std::string>{"127.0.0.2"});
  EXPECT_NE(hello.data_port, 0);
}

TEST_F(NodeAnnounces, EveryAddressWhenItListensOnAll) {
  EXPECT_EQ(hello_of({"0.0.0.0", 0}).addresses, net::local_addresses());
}

TEST_F(NodeAnnounces, WhatItWasTold) {
  const auto hello = hello_of({"127.0.0.1", 0}, net::Endpoint{"192.0.2.7", 4711});
  EXPECT_EQ(hello.addresses, std::vector<std::string>{"192.0.2.7"});
  EXPECT_EQ(hello.data_port, 4711);
}

}  // namespace
}  // namespace shoal::node
