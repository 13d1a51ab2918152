#include "admission/arrivals.hpp"

#include <cassert>

namespace weir::admission {
namespace {

bool comes_before(const Waiting& a, const Waiting& b) {
  return a.arrived != b.arrived ? a.arrived < b.arrived : a.sequence < b.sequence;
}

// Who stands higher in the tree; as good as random (splitmix64).
std::uint64_t height_of(const Waiting& call) {
  std::uint64_t mixed = call.sequence + 0x9e3779b97f4a7c15;
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
  return mixed ^ (mixed >> 31);
}

Amount sum_of(const Waiting* call) {
  return call ? call->below : Amount{};
}

void sum_up(Waiting& call) {
  call.below = call.amount();
  if (call.left) call.below += call.left->below;
  if (call.right) call.below += call.right->below;
}

}  // namespace

Amount Arrivals::before(const Waiting& call) const {
  Amount sum;
  for (const Waiting* at = root_; at;) {
    if (comes_before(*at, call)) {
      sum += sum_of(at->left) + at->amount();
      at = at->right;
    } else {
      at = at->left;
    }
  }
  return sum;
}

Amount Arrivals::begun(Tokens gone, std::uint64_t sequence) const {
  if (gone < 0) return {};
  if (gone >= all().tokens) return all();
  Amount sum;
  for (const Waiting* at = root_; at;) {
    const Amount before = sum + sum_of(at->left);
    if (before.tokens < gone || (before.tokens == gone && at->sequence < sequence)) {
      sum = before + at->amount();
      at = at->right;
    } else {
      at = at->left;
    }
  }
  return sum;
}

Waiting* Arrivals::next(const Waiting& call) {
  if (Waiting* at = call.right) {
    while (at->left) at = at->left;
    return at;
  }
  const Waiting* below = &call;
  Waiting* at = call.above;
  for (; at && at->right == below; at = at->above) below = at;
  return at;
}

Waiting*& Arrivals::link_to(Waiting& call) {
  if (!call.above) return root_;
  return call.above->left == &call ? call.above->left : call.above->right;
}

void Arrivals::lift(Waiting& call) {
  Waiting& parent = *call.above;
  link_to(parent) = &call;
  call.above = parent.above;
  parent.above = &call;
  const bool was_left = parent.left == &call;
  Waiting*& inner = was_left ? call.right : call.left;
  (was_left ? parent.left : parent.right) = inner;
  if (inner) inner->above = &parent;
  inner = &parent;
  sum_up(parent);
  sum_up(call);
}

void Arrivals::push(Waiting& call) {
  assert(!call.above && !call.left && !call.right && root_ != &call);
  call.below = call.amount();
  Waiting** link = &root_;
  while (Waiting* at = *link) {
    at->below += call.amount();
    call.above = at;
    link = comes_before(call, *at) ? &at->left : &at->right;
  }
  *link = &call;
  if (!first_ || comes_before(call, *first_)) first_ = &call;
  while (call.above && height_of(*call.above) < height_of(call)) lift(call);
}

void Arrivals::remove(Waiting& call) {
  if (first_ == &call) {
    first_ = call.above;  // the first has nobody to its left
    for (Waiting* at = call.right; at; at = at->left) first_ = at;
  }
  while (call.left && call.right) lift(height_of(*call.left) > height_of(*call.right) ? *call.left : *call.right);
  Waiting* const child = call.left ? call.left : call.right;
  for (Waiting* at = call.above; at; at = at->above) at->below -= call.amount();
  link_to(call) = child;
  if (child) child->above = call.above;
  call.left = call.right = nullptr;
  call.above = nullptr;
  call.below = {};
}

}  // namespace weir::admission
