// Label values that clients can invent: those that are known and the first so many others are kept, the rest are called
// "other".
#pragma once

#include <span>
#include <string>
#include <unordered_set>

namespace weir::observe {

class BoundedNames {
 public:
  explicit BoundedNames(std::size_t names_max) : names_max_(names_max) {}

  // Kept from now on, and not counted.
  void know(std::span<const std::string> names) { known_.insert(names.begin(), names.end()); }

  std::string bound(const std::string& name) {
    if (known_.contains(name) || names_.contains(name)) return name;
    if (names_.size() >= names_max_) return "other";
    return *names_.insert(name).first;
  }

 private:
  std::size_t names_max_;
  std::unordered_set<std::string> known_, names_;
};

}  // namespace weir::observe
