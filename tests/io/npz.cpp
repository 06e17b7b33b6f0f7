// The .npz writer. numpy.load and zipfile.testzip accept such files, also above 4 GiB (tried by hand); here the records
// are followed as a reader does.
#include <sfumato/io/npz.hpp>

#include "support.hpp"

#include <numeric>
#include <vector>

using namespace io_test;
using namespace sfumato::io;
using sfumato::Index;

namespace {

std::uint64_t number(const std::string& file, std::uint64_t at, int bytes) {
  std::uint64_t out = 0;
  for (int i = 0; i < bytes; ++i)
    out |= std::uint64_t{static_cast<std::uint8_t>(file.at(at + static_cast<std::uint64_t>(i)))} << 8 * i;
  return out;
}

/// The bytes of the only entry, found from the end of the file; every field is checked on the way.
std::string entry(const std::string& file) {
  const std::uint64_t end = file.size() - 22, locator = end - 20;
  CHECK(number(file, end, 4) == 0x06054b50);
  CHECK(number(file, locator, 4) == 0x07064b50);
  const std::uint64_t end64 = number(file, locator + 8, 8);
  CHECK(end64 + 56 == locator);
  CHECK(number(file, end64, 4) == 0x06064b50);
  CHECK(number(file, end64 + 4, 8) == 44);
  CHECK(number(file, end64 + 24, 8) == 1);
  CHECK(number(file, end64 + 32, 8) == 1);
  const std::uint64_t directory = number(file, end64 + 48, 8);
  CHECK(directory + number(file, end64 + 40, 8) == end64);
  CHECK(number(file, directory, 4) == 0x02014b50);
  CHECK(number(file, directory + 28, 2) == 9);
  CHECK(number(file, directory + 30, 2) == 28);
  CHECK(file.substr(directory + 46, 9) == "arr_0.npy");
  const std::uint64_t size = number(file, directory + 46 + 9 + 4, 8), local = number(file, directory + 46 + 9 + 20, 8);
  CHECK(local == 0);
  CHECK(number(file, local, 4) == 0x04034b50);
  CHECK(number(file, local + 30 + 9 + 4, 8) == size);
  const std::uint64_t data = local + 30 + 9 + 20;
  CHECK(number(file, data + size, 4) == 0x08074b50);
  const std::string out = file.substr(data, size);
  const auto crc = ::crc32_z(0, reinterpret_cast<const Bytef*>(out.data()), out.size());
  CHECK(number(file, directory + 16, 4) == crc);
  CHECK(number(file, data + size + 4, 4) == crc);
  CHECK(number(file, data + size + 16, 8) == size);
  CHECK(data + size + 24 == directory);
  return out;
}

}  // namespace

TEST_CASE("the array as numpy stores it") {
  const TemporaryDirectory folder;
  std::vector<std::uint8_t> values(2 * 4 * 3 * 3);
  std::iota(values.begin(), values.end(), std::uint8_t{0});
  const std::vector<Index> shape{2, 4, 3, 3};
  write_npz(folder / "a.npz", values, shape);
  const std::string npy = entry(read_all(folder / "a.npz"));
  CHECK(npy.size() == 128 + values.size());
  CHECK(npy.substr(0, 8) == std::string("\x93NUMPY\x01\x00", 8));
  CHECK(number(npy, 8, 2) == 118);
  CHECK(npy.substr(10).starts_with("{'descr': '|u1', 'fortran_order': False, 'shape': (2, 4, 3, 3), }  "));
  CHECK(npy[127] == '\n');
  CHECK(npy.substr(128) == std::string(values.begin(), values.end()));
  const std::vector<Index> flat{72};
  write_npz(folder / "b.npz", values, flat);
  CHECK(entry(read_all(folder / "b.npz")).find("'shape': (72, ), }") != std::string::npos);
}

TEST_CASE("piece by piece gives the same file") {
  const TemporaryDirectory folder;
  const std::vector<std::uint8_t> values(1000, 7);
  const std::vector<Index> shape{10, 100};
  write_npz(folder / "a.npz", values, shape);
  NpzWriter writer(folder / "b.npz", shape);
  for (int i = 0; i < 10; ++i) writer.append(std::span(values).first(100));
  CHECK(!std::filesystem::exists(folder / "b.npz"));
  writer.commit();
  CHECK(read_all(folder / "a.npz") == read_all(folder / "b.npz"));
}

TEST_CASE("shapes and values that do not fit") {
  const TemporaryDirectory folder;
  const std::vector<std::uint8_t> values(8);
  const auto refused = [&](std::vector<Index> shape, std::initializer_list<std::string_view> words) {
    check_error([&] { write_npz(folder / "a.npz", values, shape); }, "npz-size", words);
  };
  refused({9}, {"a.npz", "8 values were given", "needs 9"});
  refused({7}, {"8 values after 0 of 7"});
  refused({0, 4}, {"extent 0"});
  refused({-8}, {"extent -8"});
  refused({}, {"0 extents"});
  refused({Index{1} << 40, Index{1} << 40}, {"2^63"});
  CHECK(folder.entries() == 0);
}
