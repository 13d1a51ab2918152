// Who is calling, from the head alone: the credential, the key it belongs to, and the guards against web pages that
// would spend a local key. Pure.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "net/head.hpp"
#include "proxy/error_response.hpp"
#include "proxy/snapshot.hpp"

namespace weir::proxy {

// The fields that a key may stand in.
constexpr std::array<std::string_view, 3> credential_fields{"authorization", "x-api-key", "api-key"};

// A key of weir's own: `Authorization: Bearer`, else `x-api-key`, else `api-key`; empty: none.
std::string_view credential_of(const net::MessageHead& head);

// The field with the key that a caller brings for the provider: `x-api-key`, else `api-key`, else `Authorization`. For
// a library for OpenAI always sends a bearer token, made up where it has none, and the others are sent by who means
// them.
const net::Field* provider_credential(const net::MessageHead& head);
// What is secret in such a field: all but "Bearer ".
std::string_view secret_in(const net::Field& credential);

// Credentials of which each stands in the head once: of two lines a provider could read another than weir does.
std::optional<Refusal> check_credentials(const net::MessageHead& head);

struct Client {
  const ClientKey* key = nullptr;  // keys mode; lives as long as the snapshot
  std::string name;                // for logs and budgets: the key's name, "key-<8 hex of its hash>", or "open"
  // What a caller's own calls are found by: the name, or for a key that weir does not check more of its hash than can
  // be met by trying.
  std::string identity;
  bool anonymous = false;  // pass-through without a key: nothing tells one from another
};

std::variant<Client, Refusal> authenticate(const net::RequestHead& head, const Snapshot& snapshot);

// Host and Origin of the request in the light of the client policy; nullopt: fine.
std::optional<Refusal> check_origin(const net::RequestHead& head, const ClientPolicy& policy);

// The same for the operators' listener where it wants no token, which is on loopback only: a web page reaches it by a
// name of its own that it points there. Pages have no way to do so by "localhost" or an address.
std::optional<Refusal> check_operators_host(const net::RequestHead& head);

bool may_use_model(const Client& client, std::string_view model);
bool may_use_upstream(const Client& client, std::string_view upstream);

// Compares without telling by its time where two secrets differ.
bool equal_secrets(std::string_view a, std::string_view b);

}  // namespace weir::proxy
