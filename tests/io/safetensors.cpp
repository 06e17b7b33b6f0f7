// The safetensors reader against hostile files, the writer by round trips.
#include <sfumato/io/safetensors.hpp>

#include "support.hpp"

#include <cmath>
#include <cstring>
#include <limits>

using namespace io_test;
using namespace sfumato::io;
using sfumato::bf16;
using sfumato::Index;

namespace {

/// A file with this header, padded to 8 bytes, and so many bytes of data.
std::string blob(std::string header, std::size_t data_bytes = 0, bool pad = true) {
  if (pad) header.resize((header.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = header.size();
  std::string out(8, '\0');
  std::memcpy(out.data(), &length, 8);
  return out + header + std::string(data_bytes, '\1');
}

SafetensorsFile parse(const std::string& file) { return SafetensorsFile::parse(bytes_of(file), "hostile.safetensors"); }

void check_refused(const std::string& file, std::string_view id, std::initializer_list<std::string_view> words) {
  check_error([&] { parse(file); }, id, words);
  check_error([&] { parse(file); }, id, {"hostile.safetensors"});
}

std::string tensor(const std::string& name, const std::string& dtype, const std::string& shape,
                   const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}";
}

std::string with_length(std::uint64_t length, const std::string& rest) {
  std::string out(8, '\0');
  std::memcpy(out.data(), &length, 8);
  return out + rest;
}

}  // namespace

TEST_CASE("the smallest files") {
  CHECK(parse(blob("{}")).names().empty());
  CHECK(parse(blob("{\"__metadata__\":{}}")).metadata().empty());
  const std::string file = blob("{\"__metadata__\":{\"a\":\"b\"}," + tensor("s", "F32", "[]", "[0,4]") + "," +
                                    tensor("none", "F32", "[3,0]", "[4,4]") + "}",
                                4);
  const SafetensorsFile parsed = parse(file);
  CHECK(parsed.metadata().at("a") == "b");
  CHECK(parsed.at("s").size() == 1);
  CHECK(parsed.at("s").shape.empty());
  CHECK(parsed.at("none").shape == std::vector<Index>{3, 0});
  CHECK(parsed.at("none").bytes.empty());
  std::vector<float> nothing;
  parsed.read<float>(parsed.at("none"), nothing);
}

TEST_CASE("refused: the header's length") {
  const char* id = "safetensors-header";
  check_refused("", id, {"0 bytes", "at least 8"});
  check_refused("1234567", id, {"7 bytes"});
  check_refused(with_length(3, "{}"), id, {"header of 3 bytes", "beyond the file of 10"});
  check_refused(with_length(100'000'001, "{}"), id, {"100000001", "limit is 100000000"});
  check_refused(with_length(std::numeric_limits<std::uint64_t>::max(), "{}"), id, {"18446744073709551615"});
  check_refused(with_length(0, ""), id, {"not a JSON object"});
}

TEST_CASE("refused: headers that are not the JSON expected") {
  const char* id = "safetensors-header";
  check_refused(blob("[]"), id, {"not a JSON object"});
  check_refused(blob(" {}"), id, {"does not begin with '{'"});
  check_refused(blob("\xef\xbb\xbf{}"), id, {"does not begin with '{'"});
  check_refused(blob("{"), id, {"not valid JSON"});
  check_refused(blob("{} {}"), id, {"not valid JSON"});
  check_refused(blob("{\"a\":1,}"), id, {"found a number in 'a'", "expected an object"});
  check_refused(blob("{\"a\":[]}"), id, {"found an array in 'a'"});
  check_refused(blob(std::string("{}\0\0\0\0\0\0", 8)), id, {"NUL at byte 2"});
  check_refused(blob("{\"\xff\xfe\":{}}"), id, {"UTF-8"});
  check_refused(blob("{\"\xc0\xaf\":{}}"), id, {"UTF-8"});
  check_refused(blob("{\"__metadata__\":3}"), id, {"found a number in '__metadata__'"});
  check_refused(blob("{\"__metadata__\":{\"a\":3}}"), id,
                {"__metadata__", "found a number in 'a'", "expected a string"});
  check_refused(blob("{\"__metadata__\":{\"a\":null}}"), id, {"found null"});
  check_refused(blob("{\"__metadata__\":{\"a\":{}}}"), id, {"found an object"});
  check_refused(blob("{\"a\":{\"dtype\":true}}"), id, {"tensor 'a'", "found a boolean in 'dtype'"});
  check_refused(blob("{\"a\":{\"dtype\":[]}}"), id, {"tensor 'a'", "found an array in 'dtype'"});
  check_refused(blob("{\"a\":{\"shape\":\"x\"}}"), id, {"found a string in 'shape'", "expected an array"});
  check_refused(blob("{\"a\":{\"extra\":1}}"), id, {"unknown field 'extra'"});
}

TEST_CASE("refused: duplicate, missing and wrong fields") {
  const char* id = "safetensors-header";
  const std::string a = tensor("a", "U8", "[1]", "[0,1]");
  check_refused(blob("{" + a + "," + a + "}", 1), id, {"duplicate key 'a'"});
  check_refused(blob("{\"__metadata__\":{},\"__metadata__\":{}}"), id, {"duplicate key '__metadata__'"});
  check_refused(blob("{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}"), id, {"duplicate key 'k'"});
  check_refused(blob("{\"a\":{\"dtype\":\"U8\",\"dtype\":\"I8\"}}"), id, {"tensor 'a'", "duplicate key 'dtype'"});
  check_refused(blob("{\"a\":{}}"), id, {"tensor 'a'", "dtype is missing"});
  check_refused(blob("{\"a\":{\"dtype\":\"U8\"}}"), id, {"shape is missing"});
  check_refused(blob("{\"a\":{\"dtype\":\"U8\",\"shape\":[]}}"), id, {"data_offsets is missing"});
  check_refused(blob("{" + tensor("a", "F31", "[1]", "[0,4]") + "}", 4), id,
                {"tensor 'a'", "unknown dtype 'F31'", "BF16"});
  check_refused(blob("{" + tensor("a", "f32", "[1]", "[0,4]") + "}", 4), id, {"unknown dtype 'f32'"});
  check_refused(blob("{" + tensor("a", "F32", "[-1]", "[0,4]") + "}", 4), id, {"shape holds -1", "unsigned"});
  check_refused(blob("{" + tensor("a", "F32", "[1.5]", "[0,4]") + "}", 4), id, {"shape holds 1.5"});
  check_refused(blob("{" + tensor("a", "F32", "[99999999999999999999]", "[0,4]") + "}", 4), id,
                {"shape holds 99999999999999999999"});
  check_refused(blob("{" + tensor("a", "F32", "[\"1\"]", "[0,4]") + "}", 4), id, {"found a string in 'shape'"});
  check_refused(blob("{" + tensor("a", "F32", "[[1]]", "[0,4]") + "}", 4), id, {"found an array in 'shape'"});
  check_refused(blob("{" + tensor("a", "F32", "[1]", "[0]") + "}", 4), id, {"data_offsets has 1 entries"});
  check_refused(blob("{" + tensor("a", "F32", "[1]", "[0,4,8]") + "}", 4), id, {"data_offsets has more than 2"});
  std::string ones = "[1";
  for (int i = 0; i < 64; ++i) ones += ",1";
  check_refused(blob("{" + tensor("a", "U8", ones + "]", "[0,1]") + "}", 1), id, {"shape has more than 64"});
}

TEST_CASE("refused: depth bombs") {
  const std::string arrays(1'000'000, '['), name = "{\"a\":";
  check_refused(blob(name + arrays), "safetensors-header", {"found an array in 'a'"});
  check_refused(blob("{\"a\":{\"shape\":" + arrays), "safetensors-header", {"found an array in 'shape'"});
  std::string objects;
  for (int i = 0; i < 200'000; ++i) objects += name;
  check_refused(blob(objects), "safetensors-header", {"tensor 'a'", "unknown field 'a'"});
  check_refused(blob("{\"a\":{\"dtype\":" + objects), "safetensors-header", {"found an object in 'dtype'"});
}

TEST_CASE("refused: shapes and offsets that do not fit the file") {
  const char* id = "safetensors-tensor";
  const std::string a = tensor("a", "F32", "[2]", "[0,8]");
  check_refused(blob("{" + tensor("a", "F32", "[1]", "[4,0]") + "}", 4), id, {"tensor 'a'", "[4, 0] are reversed"});
  check_refused(blob("{" + a + "}", 7), id, {"tensor 'a'", "[0, 8] reach beyond the 7 bytes"});
  check_refused(blob("{" + tensor("a", "U8", "[1]", "[18446744073709551614,18446744073709551615]") + "}", 4), id,
                {"beyond the 4"});
  check_refused(blob("{" + tensor("a", "F32", "[3]", "[0,8]") + "}", 8), id, {"hold 8 bytes", "[3] of F32 needs 12"});
  check_refused(blob("{" + tensor("a", "F32", "[]", "[0,8]") + "}", 8), id, {"[] of F32 needs 4"});
  check_refused(blob("{" + tensor("a", "F64", "[2305843009213693952]", "[0,0]") + "}"), id,
                {"overflows", "2305843009213693952"});
  check_refused(blob("{" + tensor("a", "U8", "[4294967296,4294967296]", "[0,0]") + "}"), id, {"overflows"});
  check_refused(blob("{" + tensor("a", "U8", "[0,4294967296,4294967296]", "[0,0]") + "}"), id, {"overflows"});
  check_refused(blob("{" + tensor("a", "U8", "[18446744073709551615]", "[0,0]") + "}"), id, {"overflows"});
  check_refused(blob("{" + a + "," + tensor("b", "F32", "[2]", "[4,12]") + "}", 12), id,
                {"tensor 'b'", "[4, 12]", "overlap", "8"});
  check_refused(blob("{" + a + "," + tensor("b", "F32", "[2]", "[0,8]") + "}", 8), id, {"tensor 'b'", "overlap"});
  check_refused(blob("{" + a + "," + tensor("b", "F32", "[1]", "[12,16]") + "}", 16), id,
                {"tensor 'b'", "hole after 8"});
  check_refused(blob("{" + tensor("a", "F32", "[1]", "[4,8]") + "}", 8), id, {"tensor 'a'", "hole after 0"});
  check_refused(blob("{" + tensor("a", "F32", "[0]", "[4,4]") + "}", 4), id, {"hole"});
  check_refused(blob("{" + a + "}", 11), id, {"3 trailing bytes"});
  check_refused(blob("{}", 1), id, {"1 trailing bytes"});
  check_refused(blob("{" + tensor("a", "U8", "[1]", "[0,1]") + "," + tensor("b", "F32", "[1]", "[1,5]") + "}", 5), id,
                {"tensor 'b'", "aligned to 4"});
  check_refused(blob("{" + a + "} ", 8, false), id, {"tensor 'a'", "aligned to 4"});
}

TEST_CASE("untrusted names are made printable") {
  check_refused(blob("{\"\\u001b[31m" + std::string(500, 'x') + "\":3}"), "safetensors-header", {"?[31mxxx", "..."});
}

TEST_CASE("round trip of every dtype, in aligned order") {
  const TemporaryDirectory folder;
  const auto path = folder / "all.safetensors";
  const std::vector<double> f64{1.5, -2.25};
  const std::vector<float> f32{1, 2, 3, 4, 5, 6};
  const std::vector<std::uint16_t> f16{0x3c00, 0xc000, 0x0001, 0x7c00, 0xfbff};
  const std::vector<bf16> half{bf16(1.0f), bf16(-3.0f)};
  const std::vector<std::int64_t> i64{-7};
  const std::vector<std::int32_t> i32{1 << 30};
  const std::vector<std::int16_t> i16{-300};
  const std::vector<std::int8_t> i8{-1, 2, 3};
  const std::vector<std::uint8_t> u8{200}, flags{0, 1};
  const std::vector<TensorToWrite> tensors{{"i8", Dtype::i8, {3}, i8.data()},
                                           {"f32", Dtype::f32, {2, 3}, f32.data()},
                                           {"bool", Dtype::boolean, {2}, flags.data()},
                                           {"f64", Dtype::f64, {2}, f64.data()},
                                           {"f16", Dtype::f16, {5}, f16.data()},
                                           {"bf16", Dtype::bf16, {2, 1}, half.data()},
                                           {"i64", Dtype::i64, {}, i64.data()},
                                           {"i32", Dtype::i32, {1}, i32.data()},
                                           {"i16", Dtype::i16, {1}, i16.data()},
                                           {"none", Dtype::f32, {0, 4}, nullptr},
                                           {"u8 \"\xc3\xa9\\\n", Dtype::u8, {1}, u8.data()}};
  write_safetensors(path, tensors, {{"epoch", "3"}, {"note", "\xc3\xa9\t\""}});
  const SafetensorsFile file(path);
  CHECK(file.names() == std::vector<std::string>{"f64", "i64", "f32", "i32", "none", "f16", "bf16", "i16", "i8", "bool",
                                                 "u8 \"\xc3\xa9\\\n"});
  CHECK(file.metadata() == std::map<std::string, std::string>{{"epoch", "3"}, {"note", "\xc3\xa9\t\""}});
  CHECK(file.at("f32").shape == std::vector<Index>{2, 3});
  CHECK(file.contains("i8"));
  CHECK(!file.contains("i9"));
  const auto as_floats = [&](const char* name) {
    std::vector<float> out(static_cast<std::size_t>(file.at(name).size()));
    file.read<float>(file.at(name), out);
    return out;
  };
  CHECK(as_floats("f32") == f32);
  CHECK(as_floats("f64") == std::vector<float>{1.5f, -2.25f});
  CHECK(as_floats("f16") == std::vector<float>{1, -2, 0x1p-24f, std::numeric_limits<float>::infinity(), -65504});
  CHECK(as_floats("bf16") == std::vector<float>{1, -3});
  std::vector<double> doubles(6);
  file.read<double>(file.at("f32"), doubles);
  CHECK(doubles == std::vector<double>{1, 2, 3, 4, 5, 6});
  std::vector<bf16> brains(6);
  file.read<bf16>(file.at("f32"), brains);
  CHECK(static_cast<float>(brains[4]) == 5.0f);
  std::vector<std::int64_t> longs(1);
  file.read<std::int64_t>(file.at("i64"), longs);
  CHECK(longs == i64);
  bool booleans[2] = {true, false};
  file.read<bool>(file.at("bool"), booleans);
  CHECK(!booleans[0]);
  CHECK(booleans[1]);
  check_error([&] { file.at("i9"); }, "safetensors-missing", {path.string(), "'i9'", "11"});
  check_error([&] { file.read<std::int64_t>(file.at("i32"), longs); }, "safetensors-read",
              {"tensor 'i32'", "I32 as I64"});
  check_error(
      [&] {
        std::vector<float> one(1);
        file.read<float>(file.at("i64"), one);
      },
      "safetensors-read", {"I64 as F32"});
  check_error(
      [&] {
        std::vector<float> one(1);
        file.read<float>(file.at("f32"), one);
      },
      "safetensors-read", {"[2, 3]", "6", "for 1"});
  write_safetensors(folder / "again.safetensors", tensors, {{"epoch", "3"}, {"note", "\xc3\xa9\t\""}});
  CHECK(read_all(path) == read_all(folder / "again.safetensors"));
  check_error([&] { SafetensorsFile f(folder / "none"); }, "file-open", {"none"});
}

TEST_CASE("every binary16 number") {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = detail::Half{static_cast<std::uint16_t>(bits)};
    const int exponent = static_cast<int>(bits >> 10 & 31);
    const auto mantissa = static_cast<float>(bits & 1023);
    float expected = exponent == 0    ? std::ldexp(mantissa, -24)
                     : exponent == 31 ? (mantissa == 0 ? std::numeric_limits<float>::infinity() : std::nanf(""))
                                      : std::ldexp(1024 + mantissa, exponent - 25);
    if ((bits >> 15) != 0) expected = -expected;
    const bool same =
        std::isnan(expected) ? std::isnan(value) : value == expected && std::signbit(value) == std::signbit(expected);
    if (!same) FAIL_CHECK("binary16 " << bits << " became " << value);
  }
}

TEST_CASE("the writer's header") {
  const TemporaryDirectory folder;
  const auto path = folder / "a.safetensors";
  const float value = 1;
  const TensorToWrite one{"a", Dtype::f32, {1}, &value};
  write_safetensors(path, {&one, 1});
  CHECK(read_all(path) ==
        blob("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}") + std::string("\0\0\x80\x3f", 4));
  write_safetensors(path, {});
  CHECK(read_all(path) == blob("{}"));
}

TEST_CASE("tensors that are fetched when they are written") {
  const TemporaryDirectory folder;
  std::vector<float> room;
  std::vector<std::string> order;
  const auto tensor_of = [&](const std::string& name, std::size_t n, float value) {
    return TensorToWrite{name, Dtype::f32, {Index(n)}, nullptr, [&order, &room, name, n, value]() -> const void* {
                           order.push_back(name);
                           room.assign(n, value);
                           return room.data();
                         }};
  };
  write_safetensors(folder / "a", std::vector{tensor_of("one", 3, 1), tensor_of("two", 5, 2)});
  CHECK(order == std::vector<std::string>{"one", "two"});
  const SafetensorsFile file(folder / "a");
  std::vector<float> one(3), two(5);
  file.read<float>(file.at("one"), one);
  file.read<float>(file.at("two"), two);
  CHECK(one == std::vector<float>(3, 1));
  CHECK(two == std::vector<float>(5, 2));
  const std::string old = read_all(folder / "a");
  const TensorToWrite empty{"none", Dtype::f32, {2}, nullptr, []() -> const void* { return nullptr; }};
  check_error([&] { write_safetensors(folder / "a", std::vector{empty}); }, "safetensors-write", {"'none'", "no data for 8 bytes"});
  CHECK(read_all(folder / "a") == old);
  CHECK(folder.entries() == 1);
}

TEST_CASE("tensors that cannot be written") {
  const TemporaryDirectory folder;
  const auto path = folder / "a.safetensors";
  write_all(path, "old");
  const float value = 1;
  const auto refused = [&](std::vector<TensorToWrite> tensors, std::initializer_list<std::string_view> words) {
    check_error([&] { write_safetensors(path, tensors); }, "safetensors-write", words);
  };
  const TensorToWrite good{"a", Dtype::f32, {1}, &value};
  refused({good, good}, {path.string(), "tensor 'a'", "twice"});
  refused({{"__metadata__", Dtype::f32, {1}, &value}}, {"reserved"});
  refused({{"b", Dtype::f32, {-1}, &value}}, {"tensor 'b'", "negative extent", "[-1]"});
  refused({{"b", Dtype::f32, {Index{1} << 40, Index{1} << 40}, &value}}, {"overflows"});
  refused({{"b", Dtype::f32, {2}, nullptr}}, {"no data for 8 bytes"});
  refused({{"b", Dtype::f32, std::vector<Index>(65, 1), &value}}, {"65 extents"});
  refused({{"\xff", Dtype::f32, {1}, &value}}, {"UTF-8"});
  check_error([&] { write_safetensors(path, {&good, 1}, {{"k", "\xff"}}); }, "safetensors-write", {"UTF-8"});
  CHECK(read_all(path) == "old");
  CHECK(folder.entries() == 1);
}
