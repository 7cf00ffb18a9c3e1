#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <boost/asio/steady_timer.hpp>

#include "base/log.h"
#include "net/discovery.h"
#include "net/multicast_socket.h"
#include "wire/text.h"

namespace shoal::net {
namespace {

constexpr std::uint32_t kNameTtl_s = 120, kServiceTtl_s = 4500;  // RFC 6762 §10
constexpr std::uint32_t kLegacyTtl_s = 10;                       // RFC 6762 §6.7
constexpr Duration kProbeInterval = std::chrono::milliseconds(250);
constexpr Duration kAnnounceInterval = std::chrono::seconds(1);
constexpr Duration kRefreshInterval = std::chrono::seconds(15);
constexpr int kProbes = 3, kAnnouncements = 2, kRenamesMax = 50;

const DnsName kService = {"_shoal", "_tcp", "local"};
const DnsName kServices = {"_services", "_dns-sd", "_udp", "local"};  // RFC 6763 §9

class AnnouncerImpl : public std::enable_shared_from_this<AnnouncerImpl> {
 public:
  AnnouncerImpl(boost::asio::io_context& io, std::shared_ptr<MulticastSocket> socket, std::string instance, NodeId id,
                std::uint16_t port)
      : socket_(std::move(socket)),
        timer_(io),
        wanted_(wire::clean_text(instance.empty() ? "shoal" : instance, kDnsLabelBytesMax - 5)),
        instance_(wanted_),
        host_({"shoal-" + id.hex().substr(0, 16), "local"}),
        port_(port),
        texts_({"v=1", "id=" + id.hex()}) {}

  void start() {
    socket_->start([weak = weak_from_this()](const DnsMessage& message, const MulticastSocket::Origin& origin) {
      if (const auto self = weak.lock()) message.response ? self->heard(message) : self->asked(message, origin);
    });
    tick();
  }
  void stop() {
    timer_.cancel();
    if (probes_ == kProbes) announce(0);  // goodbye
    socket_->stop();
  }

 private:
  DnsName full_name() const {
    DnsName name = kService;
    name.insert(name.begin(), instance_);
    return name;
  }

  // Probes for the name, then announces it, then only looks for new interfaces.
  void tick() {
    Duration next = kRefreshInterval;
    if (probes_ < kProbes) {
      next = kProbeInterval;
      ++probes_;
      for (const auto& one : socket_->interfaces()) socket_->send({.questions = {{full_name(), kDnsAny}}}, one);
    } else if (announcements_ < kAnnouncements) {
      next = kAnnounceInterval;
      ++announcements_;
      announce(kServiceTtl_s);
    } else if (socket_->refresh()) {
      announce(kServiceTtl_s);
    }
    timer_.expires_after(next);
    timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
      const auto self = weak.lock();
      if (self && !error) self->tick();
    });
  }

  // Somebody else has our name, and we are still asking: take the next one (RFC 6762 §9).
  void heard(const DnsMessage& message) {
    if (announcements_ > 0 || renames_ == kRenamesMax) return;
    for (const DnsRecord& record : message.answers) {
      if (record.type != kDnsSrv || !same_name(record.name, full_name()) || same_name(record.target, host_)) continue;
      instance_ = fmt::format("{} ({})", wanted_, ++renames_ + 1);
      log_info("the name {} is taken on this network: announcing as {}", wanted_, instance_);
      probes_ = 0;
      return;
    }
  }

  DnsRecord service_pointer() const {
    return {.name = kService, .type = kDnsPtr, .ttl_s = kServiceTtl_s, .target = full_name()};
  }
  DnsRecord server() const {
    return {
        .name = full_name(), .type = kDnsSrv, .cache_flush = true, .ttl_s = kNameTtl_s, .target = host_, .port = port_};
  }
  DnsRecord text() const {
    return {.name = full_name(), .type = kDnsTxt, .cache_flush = true, .ttl_s = kServiceTtl_s, .texts = texts_};
  }
  std::vector<DnsRecord> addresses(const NetworkInterface& through, std::uint16_t type = kDnsAny) const {
    std::vector<DnsRecord> records;
    for (const Bytes& address : through.all_addresses) {
      const std::uint16_t own = address.size() == 4 ? kDnsA : kDnsAaaa;
      if (type != kDnsAny && type != own) continue;
      records.push_back({.name = host_, .type = own, .cache_flush = true, .ttl_s = kNameTtl_s, .address = address});
    }
    return records;
  }

  void announce(std::uint32_t ttl_s) {
    for (const auto& one : socket_->interfaces()) {
      DnsMessage message{.response = true, .answers = {service_pointer(), server(), text()}};
      for (DnsRecord& record : addresses(one)) message.answers.push_back(std::move(record));
      for (DnsRecord& record : message.answers) record.ttl_s = std::min(record.ttl_s, ttl_s);
      socket_->send(message, one);
    }
  }

  // Adds the answers to one question; with them what its asker will want next.
  void answer(const DnsQuestion& question, const NetworkInterface& through, DnsMessage& reply) const {
    const auto wants = [&](std::uint16_t type) { return question.type == type || question.type == kDnsAny; };
    const auto add = [](std::vector<DnsRecord>& to, std::vector<DnsRecord> records) {
      for (DnsRecord& record : records) {
        if (std::find(to.begin(), to.end(), record) == to.end()) to.push_back(std::move(record));
      }
    };
    if (same_name(question.name, kServices) && wants(kDnsPtr)) {
      add(reply.answers, {{.name = kServices, .type = kDnsPtr, .ttl_s = kServiceTtl_s, .target = kService}});
    } else if (same_name(question.name, kService) && wants(kDnsPtr)) {
      add(reply.answers, {service_pointer()});
      add(reply.additionals, {server(), text()});
      add(reply.additionals, addresses(through));
    } else if (same_name(question.name, full_name())) {
      if (wants(kDnsSrv)) add(reply.answers, {server()});
      if (wants(kDnsTxt)) add(reply.answers, {text()});
      if (wants(kDnsSrv)) add(reply.additionals, addresses(through));
    } else if (same_name(question.name, host_)) {
      add(reply.answers, addresses(through, question.type));
    }
  }

  void asked(const DnsMessage& query, const MulticastSocket::Origin& origin) const {
    if (announcements_ == 0) return;  // the name is not ours yet
    const NetworkInterface* through = socket_->find(origin.interface_index);
    if (through == nullptr) return;
    DnsMessage reply{.response = true};
    bool unicast = true;
    for (const DnsQuestion& question : query.questions) {
      const std::size_t before = reply.answers.size();
      answer(question, *through, reply);
      if (reply.answers.size() > before) unicast = unicast && question.unicast_response;
    }
    std::erase_if(reply.answers, [&](const DnsRecord& record) { return known(query, record); });
    if (reply.answers.empty()) return;
    const bool legacy = origin.sender.port() != kMdnsPort;
    if (legacy) make_legacy(query, reply);
    socket_->send(reply, *through, legacy || unicast ? &origin.sender : nullptr);
  }

  // The asker has it, with at least half of its life before it (RFC 6762 §7.1).
  static bool known(const DnsMessage& query, const DnsRecord& record) {
    return std::any_of(query.answers.begin(), query.answers.end(), [&](const DnsRecord& one) {
      return one.type == record.type && same_name(one.name, record.name) && same_name(one.target, record.target) &&
             one.port == record.port && one.texts == record.texts && one.address == record.address &&
             one.ttl_s >= record.ttl_s / 2;
    });
  }

  // What a plain resolver understands (RFC 6762 §6.7).
  static void make_legacy(const DnsMessage& query, DnsMessage& reply) {
    reply.id = query.id;
    reply.questions = query.questions;
    for (auto* records : {&reply.answers, &reply.additionals}) {
      for (DnsRecord& record : *records) {
        record.cache_flush = false;
        record.ttl_s = std::min(record.ttl_s, kLegacyTtl_s);
      }
    }
  }

  std::shared_ptr<MulticastSocket> socket_;
  boost::asio::steady_timer timer_;
  const std::string wanted_;
  std::string instance_;
  const DnsName host_;  // from the id, so no other device has it
  const std::uint16_t port_;
  const std::vector<std::string> texts_;
  int probes_ = 0, announcements_ = 0, renames_ = 0;
};

// What the caller owns; handlers hold the announcer itself weakly.
class AnnouncerHandle final : public Announcer {
 public:
  explicit AnnouncerHandle(std::shared_ptr<AnnouncerImpl> announcer) : announcer_(std::move(announcer)) {}
  ~AnnouncerHandle() override { announcer_->stop(); }

 private:
  std::shared_ptr<AnnouncerImpl> announcer_;
};

}  // namespace

Result<std::unique_ptr<Announcer>> Announcer::start(boost::asio::io_context& io, std::string instance, NodeId id,
                                                    std::uint16_t port) {
  SHOAL_ASSIGN_OR_RETURN(auto socket, MulticastSocket::open(io));
  auto announcer = std::make_shared<AnnouncerImpl>(io, std::move(socket), std::move(instance), id, port);
  announcer->start();
  return std::unique_ptr<Announcer>(std::make_unique<AnnouncerHandle>(std::move(announcer)));
}

}  // namespace shoal::net
