// Images: decoding of good and damaged files, PNG round trips, grids, and the crop against Pillow.
#include <sfumato/io/image.hpp>

#include "support.hpp"

using namespace io_test;
using namespace sfumato::io;

namespace {

// High contrast everywhere, and different in each channel.
Image pattern(int height, int width, int channels) {
  Image out{height, width, channels, {}};
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < channels; ++c)
        out.pixels.push_back(
            static_cast<std::uint8_t>((3 * y * y + 5 * x * x + x * y * c + 37 * c + 11 * y + 17 * x) & 255));
  return out;
}

std::string jpeg(const Image& image) {
  std::string out;
  const auto append = [](void* to, void* data, int size) {
    static_cast<std::string*>(to)->append(static_cast<const char*>(data), static_cast<std::size_t>(size));
  };
  detail::stb::stbi_write_jpg_to_func(append, &out, image.width, image.height, image.channels, image.pixels.data(), 90);
  return out;
}

std::string png(const Image& image) {
  const TemporaryDirectory folder;
  write_png(folder / "a.png", image);
  return read_all(folder / "a.png");
}

// A PNG chunk with its right checksum.
std::string chunk(std::string_view type, const std::string& data) {
  const auto word = [](std::uint64_t v) {
    return std::string{static_cast<char>(v >> 24), static_cast<char>(v >> 16), static_cast<char>(v >> 8),
                       static_cast<char>(v)};
  };
  const std::string body = std::string(type) + data;
  return word(data.size()) + body + word(::crc32_z(0, reinterpret_cast<const Bytef*>(body.data()), body.size()));
}

Image parse(const std::string& file, int channels = 3) { return parse_image(bytes_of(file), channels, "a.img"); }
void check_refused(const std::string& file, std::initializer_list<std::string_view> words) {
  check_error([&] { parse(file); }, "image-file", words);
  check_error([&] { parse(file); }, "image-file", {"'a.img'"});
}

}  // namespace

TEST_CASE("PNG round trips") {
  const TemporaryDirectory folder;
  for (int channels = 1; channels <= 4; ++channels) {
    const Image image = pattern(13, 17, channels);
    write_png(folder / "a.png", image);
    const Image read = read_image(folder / "a.png", channels);
    CHECK(read.height == 13);
    CHECK(read.width == 17);
    CHECK(read.channels == channels);
    CHECK(read.pixels == image.pixels);
  }
  const Image grey = parse(png(pattern(2, 2, 1)), 3);
  CHECK(grey.pixels[0] == grey.pixels[2]);
  check_error(
      [&] {
        write_png(folder / "b.png", {2, 2, 3, {1}});
      },
      "image-size", {"b.png", "needs 12 values, found 1"});
  check_error([&] { write_png(folder / "b.png", {0, 2, 3, {}}); }, "image-size", {"0 x 2"});
  check_error([&] { read_image(folder / "b.png", 3); }, "file-open", {"b.png"});
  check_error([&] { read_image(folder / "a.png", 5); }, "image-size", {"5 channels"});
  CHECK(folder.entries() == 1);
}

TEST_CASE("a JPEG is close to what it encodes") {
  Image image{40, 24, 3, {}};
  for (int i = 0; i < 40 * 24; ++i)
    for (int c = 0; c < 3; ++c) image.pixels.push_back(static_cast<std::uint8_t>(i / 24 * 4 + i % 24 * 2 + 10 * c));
  const Image read = parse(jpeg(image));
  REQUIRE(read.pixels.size() == image.pixels.size());
  for (std::size_t i = 0; i < read.pixels.size(); ++i) CHECK(std::abs(int{read.pixels[i]} - int{image.pixels[i]}) < 12);
}

TEST_CASE("damaged files") {
  check_refused("", {"neither PNG nor JPEG", "0 bytes"});
  check_refused("GIF89a", {"neither PNG nor JPEG"});
  const std::string good = png(pattern(9, 9, 3)), photo = jpeg(pattern(33, 33, 3));
  for (std::size_t length = 0; length < good.size(); ++length) check_refused(good.substr(0, length), {});
  for (std::size_t length = 0; length < photo.size(); ++length) check_refused(photo.substr(0, length), {});
  check_refused(good.substr(0, 40), {"truncated PNG"});
  check_refused(photo.substr(0, photo.size() - 2), {"truncated JPEG", "end of image"});
  for (std::size_t i = 8; i < good.size(); ++i) {
    std::string flipped = good;
    flipped[i] = static_cast<char>(flipped[i] ^ 4);
    check_refused(flipped, {"PNG"});
  }
  CHECK(parse(good + "trailing").pixels == parse(good).pixels);
}

TEST_CASE("headers that promise too much") {
  const std::string signature = png(pattern(1, 1, 3)).substr(0, 8), end = chunk("IEND", "");
  const auto header = [](std::string width, std::string height) {
    return chunk("IHDR", width + height + std::string("\x08\x02\x00\x00\x00", 5));
  };
  const std::string small("\0\0\0\x02", 4), large("\0\0\x20\0", 4), huge("\0\1\0\0", 4), zero(4, '\0');
  check_refused(signature + header(large, large) + chunk("IDAT", "x") + end,
                {"8192 x 8192 pixels", "limit for a file of"});
  check_refused(signature + header(huge, small) + chunk("IDAT", "x") + end,
                {"corrupt image header", "more than 16384"});
  check_refused(signature + header(zero, small) + chunk("IDAT", "x") + end, {"corrupt image"});
  check_refused(signature + header(small, small) + chunk("IDAT", "x") + end, {"corrupt image"});
  check_refused(signature + header(small, small) + end, {"corrupt image"});
  check_refused(signature + end, {"corrupt image"});
}

TEST_CASE("Huffman tables that overrun the decoder, or are missing") {
  std::string photo = jpeg(pattern(8, 8, 3));
  std::string bare = photo;
  for (std::size_t at; (at = bare.find("\xff\xc4")) != std::string::npos;) bare[at + 1] = '\xef';  // an APP15 segment
  check_refused(bare, {"corrupt JPEG", "before any Huffman table"});
  const std::size_t table = photo.find("\xff\xc4");
  REQUIRE(table != std::string::npos);
  photo[table + 5] = '\xff', photo[table + 6] = '\xff';  // how many codes have one bit, and two
  check_refused(photo, {"corrupt JPEG", "Huffman table of 5"});
}

TEST_CASE("grid") {
  const std::vector<Image> images{{1, 2, 1, {1, 2}}, {1, 2, 1, {3, 4}}, {1, 2, 1, {5, 6}}};
  const Image two = grid(images, 2, 1, 0);
  CHECK(two.height == 5);
  CHECK(two.width == 7);
  CHECK(two.pixels == std::vector<std::uint8_t>{0, 0, 0, 0, 0, 0, 0,  //
                                                0, 1, 2, 0, 3, 4, 0,  //
                                                0, 0, 0, 0, 0, 0, 0,  //
                                                0, 5, 6, 0, 0, 0, 0,  //
                                                0, 0, 0, 0, 0, 0, 0});
  const Image row = grid(images, 10, 0);
  CHECK(row.height == 1);
  CHECK(row.pixels == std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6});
  check_error([&] { grid({}, 2); }, "image-size", {"grid of 0 images"});
  check_error([&] { grid(images, 0); }, "image-size", {"0 columns"});
  const std::vector<Image> mixed{images[0], {2, 1, 1, {1, 2}}};
  check_error([&] { grid(mixed, 2); }, "image-size", {"image 1 is 2 x 1 x 1", "first is 1 x 2 x 1"});
}

// The checksums are zlib.crc32 of what center_crop_arr of guided-diffusion's image_datasets.py makes of the same
// pattern, by Pillow 10.4.0 (numpy: np.meshgrid of y, x, c and the formula above). Pillow 13.0.0 agrees, but for the
// last.
TEST_CASE("center_crop is Pillow's to the bit") {
  struct Case {
    int height, width, channels, size;
    std::uint32_t crc;
  };
  for (const Case& c :
       {Case{13, 10, 3, 3, 0x4419be2au}, Case{23, 17, 3, 8, 0x8d0c3ab6u}, Case{5, 7, 3, 8, 0xeed5162fu},
        Case{40, 16, 3, 16, 0x7ad91eebu}, Case{32, 48, 1, 8, 0x5f413e14u}, Case{31, 100, 3, 9, 0x247a59b4u},
        Case{533, 700, 3, 256, 0xfb090942u}, Case{1100, 1025, 3, 256, 0x1edea256u}, Case{700, 3, 1, 2, 0xf1b6d62au},
        Case{64, 64, 3, 64, 0xf25e075au}, Case{9, 9, 1, 1, 0x8bb1d29au}, Case{100, 37, 3, 36, 0x4867fff4u}}) {
    const Image crop = center_crop(pattern(c.height, c.width, c.channels), c.size);
    CAPTURE(c.height);
    CAPTURE(c.width);
    CHECK(crop.height == c.size);
    CHECK(crop.width == c.size);
    CHECK(crop.channels == c.channels);
    CHECK(::crc32_z(0, crop.pixels.data(), crop.pixels.size()) == c.crc);
  }
  CHECK(center_crop(pattern(13, 10, 3), 3).pixels ==
        std::vector<std::uint8_t>{56,  97,  138, 143, 138, 138, 106, 118, 130, 125, 148, 158, 141, 121,
                                  124, 127, 120, 139, 131, 113, 133, 138, 148, 145, 122, 123, 146});
}

TEST_CASE("crops that make no sense") {
  const Image image = pattern(4, 4, 3);
  check_error([&] { center_crop(image, 0); }, "image-size", {"center_crop to 0"});
  check_error([&] { center_crop({4, 4, 3, {}}, 2); }, "image-size", {"needs 48 values, found 0"});
  check_error([&] { center_crop(pattern(1, 5000, 1), 256); }, "image-size", {"1 x 5000", "256 x 1.28e+06"});
  check_error([&] { resize(image, 0, 3, Filter::box); }, "image-size", {"resize to 0 x 3"});
}
