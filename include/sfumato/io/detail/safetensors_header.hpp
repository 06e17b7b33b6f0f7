// The JSON header of a safetensors file, read event by event: nothing is accepted that the format does not name,
// and nothing is kept twice (a DOM would silently keep one of two equal keys, and recurse on deep nesting).
#pragma once

#include <sfumato/base/error.hpp>
#include <sfumato/io/dtype.hpp>

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

SFUMATO_BEGIN
namespace io {
namespace detail {

inline constexpr std::size_t max_header_bytes = 100'000'000;  // as in the reference implementation
inline constexpr std::size_t max_rank = 64;

/// Text from an untrusted file, fit for a message: at most 120 characters, printable ASCII.
inline std::string printable(std::string_view untrusted) {
  std::string out(untrusted.substr(0, 120));
  for (char& c : out)
    if (c < ' ' || c > '~') c = '?';
  if (untrusted.size() > out.size()) out += "...";
  return out;
}

/// One tensor as the header states it, not yet checked against the file.
struct HeaderEntry {
  std::string name;
  std::optional<Dtype> dtype;
  std::vector<std::uint64_t> shape, data_offsets;
};

/// nlohmann SAX handler; throws "safetensors-header" at the first event that does not fit.
class SafetensorsHeader {
 public:
  std::vector<HeaderEntry> entries;  // in the header's order
  std::map<std::string, std::string> metadata;

  /// Parses `header`; `file` names it in messages.
  SafetensorsHeader(std::string_view header, const std::string& file) : file_(file) {
    if (header.empty() || header.front() != '{') fail("the header is not a JSON object: it does not begin with '{'");
    // nlohmann takes a NUL for the end of the input.
    if (const auto nul = header.find('\0'); nul != header.npos) fail("a NUL at byte ", nul, " of the header");
    nlohmann::json::sax_parse(header.begin(), header.end(), this);
  }

  bool null() { unexpected("null"); }
  bool boolean(bool) { unexpected("a boolean"); }
  bool binary(std::vector<std::uint8_t>&) { unexpected("binary data"); }
  bool number_integer(std::int64_t value) { bad_number(text(value)); }
  bool number_float(double, const std::string& literal) { bad_number(literal); }
  bool number_unsigned(std::uint64_t value) {
    if (!in_array_) unexpected("a number");
    auto& list = field_ == "shape" ? entries.back().shape : entries.back().data_offsets;
    const std::size_t limit = field_ == "shape" ? max_rank : 2;
    if (list.size() == limit) fail(where(), field_, " has more than ", limit, " entries");
    list.push_back(value);
    return true;
  }
  bool string(std::string& value) {
    if (depth_ == 2 && in_metadata_) {
      metadata[field_] = std::move(value);
    } else if (depth_ == 2 && !in_array_ && field_ == "dtype") {
      entries.back().dtype = parse_dtype(value);
      if (!entries.back().dtype)
        fail(where(), "unknown dtype '", printable(value), "', expected F64 F32 F16 BF16 I64 I32 I16 I8 U8 or BOOL");
    } else {
      unexpected("a string");
    }
    return true;
  }
  bool key(std::string& name) {
    if (depth_ == 1) {
      if (!names_.insert(name).second) fail("duplicate key '", printable(name), "'");
      in_metadata_ = name == "__metadata__";
      if (!in_metadata_) entries.push_back({.name = name, .dtype = {}, .shape = {}, .data_offsets = {}});
    } else {
      if (!in_metadata_ && name != "dtype" && name != "shape" && name != "data_offsets")
        fail(where(), "unknown field '", printable(name), "', expected dtype, shape, data_offsets");
      if (!fields_.insert(name).second) fail(where(), "duplicate key '", printable(name), "'");
    }
    field_ = name;
    return true;
  }
  bool start_object(std::size_t) {
    if (depth_ == 2) unexpected("an object");
    ++depth_;
    fields_.clear();
    return true;
  }
  bool end_object() {
    if (depth_ == 2 && !in_metadata_) {
      const HeaderEntry& entry = entries.back();
      if (!entry.dtype) fail(where(), "dtype is missing");
      if (!fields_.contains("shape")) fail(where(), "shape is missing");
      if (!fields_.contains("data_offsets")) fail(where(), "data_offsets is missing");
      if (entry.data_offsets.size() != 2)
        fail(where(), "data_offsets has ", entry.data_offsets.size(), " entries, expected 2");
    }
    --depth_;
    return true;
  }
  bool start_array(std::size_t) {
    const bool list = field_ == "shape" || field_ == "data_offsets";
    if (depth_ != 2 || in_metadata_ || in_array_ || !list) unexpected("an array");
    in_array_ = true;
    return true;
  }
  bool end_array() {
    in_array_ = false;
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception& error) {
    fail("the header is not valid JSON in UTF-8 near its byte ", position, ": ", printable(error.what()));
  }

 private:
  template <class... Parts> [[noreturn]] void fail(const Parts&... parts) const {
    throw Error("safetensors-header", text("'", file_, "': ", parts...));
  }
  [[noreturn]] void unexpected(std::string_view found) const {
    const char* expected = depth_ == 0         ? "a JSON object"
                           : depth_ == 1       ? "an object"
                           : in_metadata_      ? "a string"
                           : in_array_         ? "an unsigned integer"
                           : field_ == "dtype" ? "a string"
                                               : "an array";
    fail(where(), "found ", found, " in '", printable(field_), "', expected ", expected);
  }
  [[noreturn]] void bad_number(std::string_view literal) const {
    if (!in_array_) unexpected("a number");
    fail(where(), field_, " holds ", printable(literal), ", expected an unsigned 64-bit integer");
  }
  std::string where() const {
    if (depth_ != 2) return {};
    return in_metadata_ ? "__metadata__: " : text("tensor '", printable(entries.back().name), "': ");
  }

  const std::string& file_;
  int depth_ = 0;
  bool in_metadata_ = false, in_array_ = false;
  std::string field_;  // the last key
  std::unordered_set<std::string> names_, fields_;
};

}  // namespace detail
}  // namespace io
SFUMATO_END
