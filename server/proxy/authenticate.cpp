#include "proxy/authenticate.hpp"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "net/hex.hpp"
#include "net/loopback.hpp"
#include "net/sha256.hpp"

namespace weir::proxy {
namespace {

using Hash = net::Sha256;
using net::sha256;

constexpr std::size_t shown_bytes = 4, identity_bytes = 16;  // of a key's hash

bool is_address(std::string_view host) {
  const bool v4 =
      host.find_first_not_of("0123456789.") == std::string_view::npos && std::count(host.begin(), host.end(), '.') == 3;
  return v4 || (host.starts_with('[') && host.ends_with(']'));
}

// Empty when what follows the name is no port: nobody sends that by accident.
std::string_view without_port(std::string_view host) {
  const bool bracketed = !host.empty() && host.front() == '[';
  const std::size_t end = bracketed ? host.find(']') + 1 : std::min(host.find(':'), host.size());
  const std::string_view rest = host.substr(end);
  const bool port =
      rest.empty() || (rest.front() == ':' && rest.find_first_not_of("0123456789", 1) == std::string_view::npos);
  return port ? host.substr(0, end) : std::string_view();
}

template <class Patterns>
bool matches_any(const Patterns& patterns, std::string_view text) {
  return patterns.empty() || std::any_of(patterns.begin(), patterns.end(),
                                         [&](const std::string& pattern) { return matches_pattern(pattern, text); });
}

// Empty when it is none.
std::string_view bearer_token(std::string_view authorization) {
  constexpr std::string_view scheme = "bearer ";
  if (!net::equals_ignoring_case(authorization.substr(0, scheme.size()), scheme)) return {};
  authorization.remove_prefix(scheme.size());
  authorization.remove_prefix(std::min(authorization.find_first_not_of(' '), authorization.size()));
  return authorization;
}

}  // namespace

std::string_view credential_of(const net::MessageHead& head) {
  if (const std::string_view token = bearer_token(head.value_of("authorization")); !token.empty()) return token;
  for (const std::string_view name : {"x-api-key", "api-key"}) {
    if (const std::string_view key = head.value_of(name); !key.empty()) return key;
  }
  return {};
}

const net::Field* provider_credential(const net::MessageHead& head) {
  for (const std::string_view name : {"x-api-key", "api-key", "authorization"}) {
    const net::Field* field = head.find(name);
    if (field && !field->value.empty()) return field;
  }
  return nullptr;
}

std::string_view secret_in(const net::Field& credential) {
  const std::string_view token = bearer_token(credential.value);
  return token.empty() ? credential.value : token;
}

std::optional<Refusal> check_credentials(const net::MessageHead& head) {
  for (const std::string_view name : credential_fields) {
    const auto lines = std::count_if(head.fields.begin(), head.fields.end(), [&](const net::Field& field) {
      return net::equals_ignoring_case(field.name, name);
    });
    if (lines > 1)
      return refuse_head({net::HeadError::Kind::malformed, "the field " + std::string(name) + " stands in it twice"});
  }
  return std::nullopt;
}

std::variant<Client, Refusal> authenticate(const net::RequestHead& head, const Snapshot& snapshot) {
  const ClientPolicy& policy = snapshot.settings->clients;
  Client client;
  switch (policy.mode) {
    case ClientMode::open:
      client.name = client.identity = "open";
      return client;
    case ClientMode::pass_through: {
      const net::Field* brought = provider_credential(head);
      client.anonymous = !brought;
      client.name = client.identity = "anonymous";
      if (!brought) return client;
      const Hash hash = sha256(secret_in(*brought));
      client.name = "key-" + net::to_hex(std::span(hash).first(shown_bytes));
      client.identity = "key-" + net::to_hex(std::span(hash).first(identity_bytes));
      return client;
    }
    case ClientMode::keys:
      break;
  }
  const std::string_view credential = credential_of(head);
  if (credential.empty())
    return refuse_key(head.value_of("authorization").empty() ? KeyFault::missing : KeyFault::without_bearer);
  const Hash hash = sha256(credential);
  std::uint64_t prefix = 0;
  std::memcpy(&prefix, hash.data(), sizeof prefix);
  const auto [first, last] = snapshot.keys_by_hash.equal_range(prefix);
  for (auto candidate = first; candidate != last; ++candidate) {
    const ClientKey& key = policy.keys[candidate->second];
    if (CRYPTO_memcmp(key.sha256.data(), hash.data(), hash.size()) != 0) continue;
    client.key = &key;
    client.name = client.identity = key.name;
    return client;
  }
  return refuse_key(KeyFault::unknown);
}

std::optional<Refusal> check_origin(const net::RequestHead& head, const ClientPolicy& policy) {
  if (policy.mode != ClientMode::open) return std::nullopt;
  const std::string_view host = without_port(head.value_of("host"));
  const bool host_known = net::is_loopback_in_host_field(host) || policy.open_anywhere ||
                          std::any_of(policy.hosts.begin(), policy.hosts.end(), [&](const std::string& listed) {
                            return net::equals_ignoring_case(listed, host);
                          });
  if (!host_known) return refuse_host(head.value_of("host"));
  if (const net::Field* origin = head.find("origin")) {
    const bool listed = std::find(policy.origins.begin(), policy.origins.end(), origin->value) != policy.origins.end();
    if (!listed) return refuse_origin(origin->value);
  }
  return std::nullopt;
}

std::optional<Refusal> check_operators_host(const net::RequestHead& head) {
  const net::Field* field = head.find("host");
  if (!field) return std::nullopt;  // HTTP/1.0, which no browser speaks
  const std::string_view host = without_port(field->value);
  if (net::is_loopback_in_host_field(host) || is_address(host)) return std::nullopt;
  Refusal refusal = refuse_host(field->value);
  refusal.message =
      "Without operator.token the operators' listener is reached by 'localhost' or an address only, so that no web "
      "page "
      "reaches it by a name of its own.";
  return refusal;
}

bool may_use_model(const Client& client, std::string_view model) {
  return !client.key || matches_any(client.key->models, model);
}

bool may_use_upstream(const Client& client, std::string_view upstream) {
  if (!client.key || client.key->upstreams.empty()) return true;
  const auto& names = client.key->upstreams;
  return std::find(names.begin(), names.end(), upstream) != names.end();
}

bool equal_secrets(std::string_view a, std::string_view b) {
  const Hash left = sha256(a), right = sha256(b);
  return CRYPTO_memcmp(left.data(), right.data(), left.size()) == 0;
}

}  // namespace weir::proxy
