// Result<T>: a value or an error text. For parsers of untrusted bytes, which must not throw.
#pragma once
#include <string>
#include <utility>
#include <variant>

#include "src/base/check.h"

namespace pg {

// Wraps an error text so that Result<std::string> stays unambiguous.
struct Failure {
  std::string message;
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Failure failure) : state_(std::in_place_index<1>, std::move(failure)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& value() {
    PG_CHECK(ok(), "value() of a failed Result");
    return std::get<0>(state_);
  }
  const T& value() const {
    PG_CHECK(ok(), "value() of a failed Result");
    return std::get<0>(state_);
  }
  const std::string& error() const {
    PG_CHECK(!ok(), "error() of a good Result");
    return std::get<1>(state_).message;
  }

 private:
  std::variant<T, Failure> state_;
};

}  // namespace pg
