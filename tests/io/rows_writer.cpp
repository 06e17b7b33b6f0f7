// RowsWriter: what it writes, that an interrupted run goes on to the same file, and what it refuses.
#include <sfumato/io/rows_writer.hpp>

#include "check_error.hpp"
#include "io/support.hpp"

#include <doctest/doctest.h>

#include <array>
#include <fstream>
#include <map>
#include <string>
#include <vector>

using namespace sfumato;
using namespace sfumato::io;

namespace {

const std::vector<RowColumn> columns{{"x", Dtype::f32, {2, 3}}, {"label", Dtype::i32, {}}};
const std::map<std::string, std::string> settings{{"model", "a"}, {"seed", "1"}};

/// Rows first ... first + count - 1 of some file.
void append(RowsWriter& writer, Index first, Index count) {
  std::vector<float> x;
  std::vector<std::int32_t> labels;
  for (Index i = first; i < first + count; ++i) {
    for (int j = 0; j < 6; ++j) x.push_back(float(10 * i + j));
    labels.push_back(std::int32_t(i % 3));
  }
  const std::array parts{std::as_bytes(std::span(x)), std::as_bytes(std::span(labels))};
  writer.append(parts);
}
}  // namespace

TEST_CASE("rows in one run, and in several that ended in the middle of a row, make the same file") {
  io_test::TemporaryDirectory folder;
  const auto whole = folder / "whole.safetensors", parts = folder / "parts.safetensors";
  {
    RowsWriter writer(whole, columns, settings);
    append(writer, 0, 7);
    writer.commit({{"more", "said"}});
  }
  {
    RowsWriter writer(parts, columns, settings);
    CHECK(writer.done() == 0);
    append(writer, 0, 3);
    append(writer, 3, 1);
    CHECK(writer.done() == 4);
  }
  // As a kill might leave it: one column further, and with a piece of a row.
  std::ofstream(parts.string() + ".x.part", std::ios::binary | std::ios::app) << "thirty bytes of rows not whole";
  {
    RowsWriter writer(parts, columns, settings);
    CHECK(writer.done() == 4);
    append(writer, 4, 3);
    writer.commit({{"more", "said"}});
  }
  CHECK(io_test::read_all(parts) == io_test::read_all(whole));
  CHECK(folder.entries() == 2);  // nothing else is left
  const SafetensorsFile file(whole);
  CHECK(file.at("x").shape == std::vector<Index>{7, 2, 3});
  CHECK(file.metadata() == std::map<std::string, std::string>{{"model", "a"}, {"seed", "1"}, {"more", "said"}});
  std::vector<float> x(42);
  file.read<float>(file.at("x"), x);
  CHECK(x[6 * 5 + 4] == 54);
}

TEST_CASE("rows of other settings or other columns are not gone on with") {
  io_test::TemporaryDirectory folder;
  const auto path = folder / "rows.safetensors";
  { RowsWriter writer(path, columns, settings); }
  check_error([&] { RowsWriter(path, columns, {{"model", "b"}, {"seed", "1"}}); }, "rows-settings", {"rows.safetensors.part", "\n  found: model = a\n  expected: model = b"});
  check_error([&] { RowsWriter(path, {columns[1]}, settings); }, "rows-settings", {"found: x: F32 [2, 3]"});
  check_error([&] { RowsWriter(path, {}, settings); }, "rows-write", {"no tensors"});
  check_error([&] { RowsWriter(path, {columns[0], columns[0]}, settings); }, "rows-write", {"'x'", "twice"});
  check_error([&] { RowsWriter(path, {{"a/b", Dtype::f32, {}}}, settings); }, "rows-write", {"slash"});
  RowsWriter writer(path, columns, settings);
  const std::vector<float> x(6);
  const std::array uneven{std::as_bytes(std::span(x)), std::span<const std::byte>()};
  check_error([&] { writer.append(uneven); }, "rows-write", {"label", "0 bytes", "1 rows"});
  check_error([&] { writer.append(std::span(uneven).first(1)); }, "rows-write", {"2 tensors, given 1"});
  check_error([&] { RowsWriter(folder / "none" / "rows.safetensors", columns, settings); }, "write-failed", {"none/rows.safetensors.part"});
}
