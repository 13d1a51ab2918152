#include "proxy/kept_bodies.hpp"

#include <iterator>
#include <optional>
#include <utility>
#include <vector>

namespace weir::proxy {

struct KeptBody {
  net::Worker& worker;
  std::function<void()> release;  // of the worker's thread
  // Under the lock.
  std::optional<std::multimap<std::size_t, std::shared_ptr<KeptBody>>::iterator> place;
  bool let_go = false;
};

KeptBodies::Claim::Claim(KeptBodies& bodies, net::Worker& worker, std::function<void()> release)
    : bodies_(bodies), body_(std::make_shared<KeptBody>(KeptBody{worker, std::move(release), {}, false})) {}

KeptBodies::Claim::~Claim() {
  take_back();
  body_->release = nullptr;
}

void KeptBodies::Claim::sent(std::size_t bytes, std::size_t bytes_max) {
  std::vector<std::shared_ptr<KeptBody>> let_go;
  {
    const std::lock_guard lock(bodies_.mutex_);
    if (body_->place || body_->let_go) return;
    body_->place = bodies_.by_size_.emplace(bytes, body_);
    bodies_.bytes_ += bytes;
    while (bodies_.bytes_ > bytes_max) {
      const auto largest = std::prev(bodies_.by_size_.end());
      bodies_.bytes_ -= largest->first;
      ++bodies_.let_go_;
      largest->second->let_go = true;
      largest->second->place.reset();
      let_go.push_back(std::move(largest->second));
      bodies_.by_size_.erase(largest);
    }
  }
  for (const std::shared_ptr<KeptBody>& body : let_go) {
    body->worker.post([held = std::weak_ptr<KeptBody>(body)] {
      if (const auto there = held.lock(); there && there->release) there->release();
    });
  }
}

bool KeptBodies::Claim::take_back() {
  const std::lock_guard lock(bodies_.mutex_);
  if (body_->place) {
    bodies_.bytes_ -= (*body_->place)->first;
    bodies_.by_size_.erase(*body_->place);
    body_->place.reset();
  }
  return !body_->let_go;
}

}  // namespace weir::proxy
