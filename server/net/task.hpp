// A lazy coroutine that one other coroutine awaits. All of weir's I/O code is written in it.
// Why not asio::awaitable: it awaits Asio operations only, costs a frame per operation, and cannot await the
// one-signal-many-sources wait that keeps a waiting exchange at a single frame (docs/architecture.md).
//
// A child that finishes without suspending returns to its parent by a plain function return: a loop of synchronous
// completions does not deepen the stack, in debug and sanitizer builds either (GCC does not make tail calls there).
// Single-threaded: a task lives and dies on one worker. Destroying a Task destroys the suspended coroutine.
#pragma once

#include <coroutine>
#include <cstdlib>
#include <exception>
#include <optional>
#include <utility>

#include "net/frame_pool.hpp"

namespace weir::net {

template <class T = void>
class [[nodiscard]] Task;

namespace detail {

// Where frames come from.
struct PooledFrame {
  static void* operator new(std::size_t bytes) { return frame_pool::allocate(bytes); }
  static void operator delete(void* frame, std::size_t bytes) noexcept { frame_pool::release(frame, bytes); }
};

struct TaskPromiseBase : PooledFrame {
  std::coroutine_handle<> continuation;
  bool parent_waits = false;  // the parent has really suspended: whoever finishes the child resumes it
  std::exception_ptr exception;

  std::suspend_always initial_suspend() noexcept { return {}; }

  struct FinalAwaiter {
    bool await_ready() noexcept { return false; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> self) noexcept {
      TaskPromiseBase& promise = self.promise();
      if (promise.parent_waits) promise.continuation.resume();
    }
    void await_resume() noexcept {}
  };
  FinalAwaiter final_suspend() noexcept { return {}; }
  void unhandled_exception() noexcept { exception = std::current_exception(); }
};

template <class T>
struct TaskPromise : TaskPromiseBase {
  std::optional<T> value;
  Task<T> get_return_object() noexcept;
  template <class U>
  void return_value(U&& result) {
    value.emplace(std::forward<U>(result));
  }
};

template <>
struct TaskPromise<void> : TaskPromiseBase {
  Task<void> get_return_object() noexcept;
  void return_void() noexcept {}
};

}  // namespace detail

template <class T>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::TaskPromise<T>;

  Task() noexcept = default;
  explicit Task(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      if (handle_) handle_.destroy();
      handle_ = std::exchange(other.handle_, nullptr);
    }
    return *this;
  }
  ~Task() {
    if (handle_) handle_.destroy();
  }

  bool await_ready() const noexcept { return false; }

  bool await_suspend(std::coroutine_handle<> parent) noexcept {
    promise_type& promise = handle_.promise();
    promise.continuation = parent;
    handle_.resume();
    if (handle_.done()) return false;
    promise.parent_waits = true;
    return true;
  }

  T await_resume() {
    promise_type& promise = handle_.promise();
    if (promise.exception) std::rethrow_exception(promise.exception);
    if constexpr (!std::is_void_v<T>) return std::move(*promise.value);
  }

 private:
  std::coroutine_handle<promise_type> handle_;
};

namespace detail {

template <class T>
Task<T> TaskPromise<T>::get_return_object() noexcept {
  return Task<T>(std::coroutine_handle<TaskPromise<T>>::from_promise(*this));
}
inline Task<void> TaskPromise<void>::get_return_object() noexcept {
  return Task<void>(std::coroutine_handle<TaskPromise<void>>::from_promise(*this));
}

// Owns itself: starts at once, frees its frame at the end.
struct Detached {
  struct promise_type : PooledFrame {
    Detached get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::abort(); }  // a spawned task handles its own exceptions
  };
};

inline Detached run_detached(Task<void> task) {
  co_await task;
}

}  // namespace detail

// Runs a task on its own, from now until it ends. REQUIRES: the task lets no exception out.
inline void spawn(Task<void> task) {
  detail::run_detached(std::move(task));
}

}  // namespace weir::net
