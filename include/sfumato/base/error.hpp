// The one exception type, and how its message is put together.
#pragma once

#include <sfumato/base/config.hpp>

#include <locale>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

SFUMATO_BEGIN

/// Concatenates its arguments as text: `text("expected ", 3, ", found ", n)`.
template <class... Parts>
std::string text(const Parts&... parts) {
  std::ostringstream out;
  out.imbue(std::locale::classic());  // a program's locale must not put separators into files
  (out << ... << parts);
  return out.str();
}

/// Thrown for everything that only run time can know: files, batches, labels, options, non-finite losses.
/// The message names the rule in brackets, the thing, what was expected and what was found.
class Error : public std::runtime_error {
 public:
  Error(std::string_view id, const std::string& what)
      : std::runtime_error(text("[", id, "] ", what)), id_(id) {}

  /// The bracketed id, e.g. "label-range"; stable, for programs and tests.
  const std::string& id() const noexcept { return id_; }

 private:
  std::string id_;
};

/// Throws `Error(id, parts...)` unless `condition` holds; in a constant expression, a compile error.
template <class... Parts>
constexpr void check(bool condition, std::string_view id, const Parts&... parts) {
  if (!condition) throw Error(id, text(parts...));
}

SFUMATO_END
