// 8-bit images: PNG and JPEG in, PNG out, grids, and the crop the diffusion papers use.
#pragma once

#include <sfumato/base/error.hpp>
#include <sfumato/io/atomic_file.hpp>
#include <sfumato/io/detail/image_integrity.hpp>
#include <sfumato/io/detail/resample.hpp>
#include <sfumato/io/detail/stb.hpp>
#include <sfumato/io/mapped_file.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

SFUMATO_BEGIN
namespace io {

/// `pixels` is (height, width, channels), row-major.
struct Image {
  int height = 0, width = 0, channels = 0;
  std::vector<std::uint8_t> pixels;
};

enum class Filter { box, bicubic };

namespace detail {

inline constexpr std::int64_t max_image_pixels = std::int64_t{1} << 26;

/// Throws "image-size" unless the extents are positive, not absurd, and match the pixels.
inline void check_image(const Image& image, std::string_view what) {
  const bool plausible = image.height > 0 && image.width > 0 && image.channels >= 1 && image.channels <= 4 &&
                         std::int64_t{image.height} * image.width <= max_image_pixels;
  check(plausible, "image-size", what, ": ", image.height, " x ", image.width, " with ", image.channels,
        " channels, expected 1 to ", max_image_pixels, " pixels with 1 to 4 channels");
  const auto expected = static_cast<std::size_t>(image.height) * static_cast<std::size_t>(image.width) *
                        static_cast<std::size_t>(image.channels);
  check(image.pixels.size() == expected, "image-size", what, ": ", image.height, " x ", image.width, " x ",
        image.channels, " needs ", expected, " values, found ", image.pixels.size());
}

}  // namespace detail

/// Decodes a PNG or JPEG from memory to 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA) channels; `name` stands for the
/// path in messages. JPEG pixels may differ by a little from libjpeg's, the inverse DCT is not the same.
/// Errors: "image-file" for what is no image, is damaged or truncated, or declares absurd dimensions.
inline Image parse_image(std::span<const std::byte> bytes, int channels, const std::string& name) {
  namespace stb = detail::stb;
  check(channels >= 1 && channels <= 4, "image-size", "'", name, "': ", channels,
        " channels asked for, expected 1 to 4");
  const bool png = detail::is_png(bytes), jpeg = detail::is_jpeg(bytes);
  check(png || jpeg, "image-file", "'", name, "': neither PNG nor JPEG (", bytes.size(), " bytes)");
  check(bytes.size() < std::size_t{1} << 30, "image-file", "'", name, "': ", bytes.size(), " bytes, the limit is 2^30");
  if (png) detail::check_png(bytes, name);
  if (jpeg) detail::check_jpeg(bytes, name);
  const auto* data = reinterpret_cast<const stb::stbi_uc*>(bytes.data());
  const int length = static_cast<int>(bytes.size());
  int width = 0, height = 0, stored = 0;
  const auto reason = [] {
    const char* text = stb::stbi_failure_reason();
    return text != nullptr ? text : "unknown reason";
  };
  const bool header = stb::stbi_info_from_memory(data, length, &width, &height, &stored) != 0;
  check(header, "image-file", "'", name, "': corrupt image header, or more than ", detail::max_image_side,
        " pixels on a side");
  // Neither format packs more than 8256 pixels into a byte (deflate of 1-bit pixels at 1032:1).
  const std::int64_t limit = std::min(detail::max_image_pixels, std::int64_t{8256} * length);
  check(std::int64_t{height} * width <= limit, "image-file", "'", name, "': ", height, " x ", width,
        " pixels, the limit for a file of ", length, " bytes is ", limit);
  const std::unique_ptr<stb::stbi_uc, decltype(&stb::stbi_image_free)> pixels(
      stb::stbi_load_from_memory(data, length, &width, &height, &stored, channels), &stb::stbi_image_free);
  check(pixels != nullptr, "image-file", "'", name, "': corrupt image: ", reason());
  const auto size =
      static_cast<std::size_t>(height) * static_cast<std::size_t>(width) * static_cast<std::size_t>(channels);
  return {height, width, channels, {pixels.get(), pixels.get() + size}};
}

/// Decodes a PNG or JPEG file. Errors: "file-open", and those of `parse_image`.
inline Image read_image(const std::filesystem::path& path, int channels) {
  return parse_image(MappedFile(path).bytes(), channels, path.string());
}

/// Writes a PNG atomically. Errors: "image-size", "disk-full", "write-failed".
inline void write_png(const std::filesystem::path& path, const Image& image) {
  namespace stb = detail::stb;
  detail::check_image(image, text("'", path.string(), "'"));
  int length = 0;
  const std::unique_ptr<stb::stbi_uc, decltype(&stb::stbi_image_free)> bytes(
      stb::stbi_write_png_to_mem(image.pixels.data(), image.width * image.channels, image.width, image.height,
                                 image.channels, &length),
      &stb::stbi_image_free);
  check(bytes != nullptr && length > 0, "write-failed", "cannot write '", path.string(), "': no memory to encode ",
        image.height, " x ", image.width, " pixels");
  AtomicFile out(path);
  out.write(std::as_bytes(std::span(bytes.get(), static_cast<std::size_t>(length))));
  out.commit();
}

/// Images of one size, row by row, with `padding` pixels of value `background` around each. Missing cells of the last
/// row are background. Errors: "image-size".
inline Image grid(std::span<const Image> images, int columns, int padding = 2, std::uint8_t background = 255) {
  check(!images.empty() && columns > 0 && padding >= 0, "image-size", "grid of ", images.size(), " images in ", columns,
        " columns with padding ", padding, ", expected at least one image and column");
  const Image& first = images.front();
  const auto wide = std::min<std::size_t>(static_cast<std::size_t>(columns), images.size());
  const std::size_t rows = (images.size() + wide - 1) / wide, pad = static_cast<std::size_t>(padding);
  const auto height = static_cast<std::size_t>(first.height), width = static_cast<std::size_t>(first.width);
  const auto channels = static_cast<std::size_t>(first.channels);
  const std::size_t out_height = rows * (height + pad) + pad, out_width = wide * (width + pad) + pad;
  check(out_height * out_width <= static_cast<std::size_t>(detail::max_image_pixels), "image-size", "grid of ",
        out_height, " x ", out_width, " pixels, the limit is ", detail::max_image_pixels);
  Image out{static_cast<int>(out_height), static_cast<int>(out_width), first.channels, {}};
  out.pixels.assign(out_height * out_width * channels, background);
  for (std::size_t i = 0; i < images.size(); ++i) {
    const Image& image = images[i];
    detail::check_image(image, text("grid: image ", i));
    check(image.height == first.height && image.width == first.width && image.channels == first.channels, "image-size",
          "grid: image ", i, " is ", image.height, " x ", image.width, " x ", image.channels, ", the first is ",
          first.height, " x ", first.width, " x ", first.channels);
    for (std::size_t y = 0; y < height; ++y) {
      const std::size_t row = pad + i / wide * (height + pad) + y, column = pad + i % wide * (width + pad);
      std::copy_n(image.pixels.begin() + static_cast<std::ptrdiff_t>(y * width * channels), width * channels,
                  out.pixels.begin() + static_cast<std::ptrdiff_t>((row * out_width + column) * channels));
    }
  }
  return out;
}

/// Pillow's `Image.resize`: antialiased, first across, then down, rounded to 8 bits between. (Pillow 10 does so always;
/// Pillow 13 goes down first for some sizes, and differs there by one in a quarter of the values.) Errors:
/// "image-size".
inline Image resize(const Image& image, int height, int width, Filter filter) {
  detail::check_image(image, "resize");
  Image out{height, width, image.channels, {}};
  check(height > 0 && width > 0 && std::int64_t{height} * width <= detail::max_image_pixels, "image-size", "resize to ",
        height, " x ", width, ", expected 1 to ", detail::max_image_pixels, " pixels");
  const auto taps = [filter](int in, int target) {
    return filter == Filter::box ? detail::resample_taps(in, target, 0.5, detail::box_filter)
                                 : detail::resample_taps(in, target, 2.0, detail::bicubic_filter);
  };
  const auto channels = static_cast<std::size_t>(image.channels);
  const auto rows = static_cast<std::size_t>(image.height), columns = static_cast<std::size_t>(width);
  out.pixels = image.pixels;
  if (width != image.width)
    out.pixels =
        detail::resample(out.pixels, rows, static_cast<std::size_t>(image.width), channels, taps(image.width, width));
  if (height != image.height)
    out.pixels = detail::resample(out.pixels, 1, rows, columns * channels, taps(image.height, height));
  return out;
}

/// The square crop of ADM (github.com/openai/guided-diffusion, image_datasets.py: center_crop_arr), which the later
/// papers kept: halve by box filter while the short side is at least 2 * size, bicubic until it is `size`, cut the
/// centre. Equal to the result with Pillow 10 to the bit. Errors: "image-size".
inline Image center_crop(const Image& image, int size) {
  detail::check_image(image, "center_crop");
  check(size > 0 && size <= 1 << 13, "image-size", "center_crop to ", size, ", expected 1 to ", 1 << 13);
  Image scaled = image;
  while (std::min(scaled.height, scaled.width) >= 2 * size)
    scaled = resize(scaled, scaled.height / 2, scaled.width / 2, Filter::box);
  const double scale = static_cast<double>(size) / std::min(scaled.height, scaled.width);
  const double height = std::nearbyint(scaled.height * scale),
               width = std::nearbyint(scaled.width * scale);  // half to even
  check(height * width <= static_cast<double>(detail::max_image_pixels), "image-size", "center_crop of ", image.height,
        " x ", image.width, " to ", size, ": it would be scaled to ", height, " x ", width);
  scaled = resize(scaled, static_cast<int>(height), static_cast<int>(width), Filter::bicubic);
  Image out{size, size, image.channels, {}};
  const auto row = static_cast<std::size_t>(size) * static_cast<std::size_t>(image.channels);
  const int top = (scaled.height - size) / 2, left = (scaled.width - size) / 2;
  for (int y = 0; y < size; ++y) {
    const std::ptrdiff_t from = (std::ptrdiff_t{top + y} * scaled.width + left) * image.channels;
    out.pixels.insert(out.pixels.end(), scaled.pixels.begin() + from,
                      scaled.pixels.begin() + from + static_cast<std::ptrdiff_t>(row));
  }
  return out;
}

}  // namespace io
SFUMATO_END
