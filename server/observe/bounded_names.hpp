// Label values that clients can invent: the first so many are kept, all others are called "other".
#pragma once

#include <string>
#include <unordered_set>

namespace weir::observe {

class BoundedNames {
 public:
  explicit BoundedNames(std::size_t names_max) : names_max_(names_max) {}

  std::string bound(const std::string& name) {
    if (names_.contains(name)) return name;
    if (names_.size() >= names_max_) return "other";
    return *names_.insert(name).first;
  }

 private:
  std::size_t names_max_;
  std::unordered_set<std::string> names_;
};

}  // namespace weir::observe
