#include <algorithm>
#include <map>
#include <set>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "net/discovery.h"
#include "net/multicast_socket.h"
#include "wire/text.h"

namespace shoal::net {
namespace {

constexpr std::size_t kInstancesMax = 64, kHostsMax = 64, kFollowUpsMax = 128;
constexpr Duration kAskAgain = std::chrono::milliseconds(700);
const DnsName kService = {"_shoal", "_tcp", "local"};

// One search: asks, collects what is answered, asks on for what is missing, and ends with its window.
class Search : public std::enable_shared_from_this<Search> {
 public:
  using Done = std::function<void(Result<std::vector<Announcement>>)>;
  Search(boost::asio::io_context& io, std::shared_ptr<MulticastSocket> socket, Done done)
      : socket_(std::move(socket)), end_(io), again_(io), done_(std::move(done)) {}

  void start(Duration window) {
    socket_->start([weak = weak_from_this()](const DnsMessage& message, const MulticastSocket::Origin&) {
      if (const auto self = weak.lock(); self && message.response) self->heard(message);
    });
    end_.expires_after(window);
    end_.async_wait([self = shared_from_this()](const boost::system::error_code&) { self->finish(); });
    ask();
  }

 private:
  struct Instance {
    DnsName name;
    DnsName host;
    std::uint16_t port = 0;
    std::vector<std::string> texts;
  };

  void ask() {
    send({{kService, kDnsPtr}});
    again_.expires_after(kAskAgain);
    again_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
      const auto self = weak.lock();
      if (self && !error) self->ask();
    });
  }
  void send(std::vector<DnsQuestion> questions) {
    const DnsMessage query{.questions = std::move(questions)};
    for (const auto& one : socket_->interfaces()) socket_->send(query, one);
  }
  // Asks for a name once, and for a bounded number of them.
  void follow(std::vector<DnsQuestion> questions) {
    if (asked_.size() < kFollowUpsMax && asked_.insert(name_text(questions[0].name)).second) send(std::move(questions));
  }

  Instance* instance(const DnsName& name) {
    const bool ours = name.size() == kService.size() + 1 && same_name({name.begin() + 1, name.end()}, kService);
    const std::string key = name_text(name);
    if (!ours || (instances_.size() >= kInstancesMax && instances_.find(key) == instances_.end())) return nullptr;
    Instance& found = instances_[key];
    found.name = name;
    return &found;
  }

  void heard(const DnsMessage& message) {
    for (const auto* records : {&message.answers, &message.additionals}) {
      for (const DnsRecord& record : *records) take(record);
    }
    for (const auto& [key, one] : instances_) {
      if (one.port == 0 || one.texts.empty()) follow({{one.name, kDnsSrv}, {one.name, kDnsTxt}});
      if (one.port != 0 && addresses_.find(name_text(one.host)) == addresses_.end())
        follow({{one.host, kDnsA}, {one.host, kDnsAaaa}});
    }
  }

  void take(const DnsRecord& record) {
    if (record.type == kDnsPtr && same_name(record.name, kService)) {
      if (record.ttl_s == 0) {
        instances_.erase(name_text(record.target));  // goodbye
      } else {
        instance(record.target);
      }
    } else if (record.ttl_s == 0) {
      return;
    } else if (record.type == kDnsSrv) {
      if (Instance* one = instance(record.name)) {
        one->host = record.target;
        one->port = record.port;
      }
    } else if (record.type == kDnsTxt) {
      if (Instance* one = instance(record.name)) one->texts = record.texts;
    } else if (record.type == kDnsA || record.type == kDnsAaaa) {
      take_address(record);
    }
  }

  void take_address(const DnsRecord& record) {
    const std::string key = name_text(record.name);
    if (addresses_.size() >= kHostsMax && addresses_.find(key) == addresses_.end()) return;
    // Link-local addresses mean nothing without an interface's name.
    if (record.type == kDnsAaaa && record.address[0] == 0xfe && (record.address[1] & 0xc0) == 0x80) return;
    auto& known = addresses_[key];
    if (known.size() < wire::kAddressesMax && std::find(known.begin(), known.end(), record.address) == known.end()) {
      known.push_back(record.address);
    }
  }

  std::vector<Endpoint> endpoints(const Instance& one) const {
    std::vector<boost::asio::ip::address> found;
    if (const auto at = addresses_.find(name_text(one.host)); at != addresses_.end()) {
      for (const Bytes& bytes : at->second) {
        if (bytes.size() == 4) {
          found.emplace_back(boost::asio::ip::make_address_v4(
              boost::asio::ip::address_v4::bytes_type{bytes[0], bytes[1], bytes[2], bytes[3]}));
        } else {
          boost::asio::ip::address_v6::bytes_type v6;
          std::copy_n(bytes.begin(), v6.size(), v6.begin());
          found.emplace_back(boost::asio::ip::address_v6(v6));
        }
      }
    }
    // The network first, IPv4 before IPv6; the loopback last.
    std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
      return std::pair(a.is_loopback(), a.is_v6()) < std::pair(b.is_loopback(), b.is_v6());
    });
    std::vector<Endpoint> result;
    for (const auto& address : found) result.push_back({address.to_string(), one.port});
    return result;
  }

  void finish() {
    again_.cancel();
    socket_->stop();
    std::map<NodeId, Announcement> by_id;
    for (const auto& [key, one] : instances_) {
      for (const std::string& text : one.texts) {
        if (!text.starts_with("id=")) continue;
        const auto id = Digest::from_hex(std::string_view(text).substr(3));
        auto where = endpoints(one);
        if (!id.ok() || one.port == 0 || where.empty()) continue;
        by_id.try_emplace({*id},
                          Announcement{wire::clean_text(one.name[0], wire::kNameBytesMax), {*id}, std::move(where)});
      }
    }
    std::vector<Announcement> result;
    for (auto& [id, announcement] : by_id) result.push_back(std::move(announcement));
    const auto done = std::exchange(done_, nullptr);
    done(std::move(result));
  }

  std::shared_ptr<MulticastSocket> socket_;
  boost::asio::steady_timer end_, again_;
  Done done_;
  std::map<std::string, Instance> instances_;
  std::map<std::string, std::vector<Bytes>> addresses_;
  std::set<std::string> asked_;
};

}  // namespace

void discover(boost::asio::io_context& io, Duration window,
              std::function<void(Result<std::vector<Announcement>>)> done) {
  auto socket = MulticastSocket::open(io);
  if (!socket.ok()) {
    boost::asio::post(io, [done = std::move(done), error = socket.error()] { done(error); });
    return;
  }
  std::make_shared<Search>(io, std::move(*socket), std::move(done))->start(window);
}

}  // namespace shoal::net
