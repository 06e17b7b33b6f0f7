// Plots as PNG files, drawn by gnuplot through a pipe.
#pragma once

#include <sfumato/base/error.hpp>
#include <sfumato/io/image.hpp>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include <stdio.h>  // popen
#include <unistd.h>

namespace example::plot {

/// The points of one curve or cloud.
struct Series {
  std::string name;
  std::vector<double> x, y;
  std::string color = "";  ///< as gnuplot names them, e.g. "#4060c0"; empty: the next of its palette
  double size = 0.3;       ///< of a point
};

/// What stands around a plot of lines.
struct Axes {
  std::string title, x_label, y_label;
  bool log_x = false, log_y = false;
  std::string key = "top right";  ///< where the names stand, as gnuplot says it
};

/// One of several scatter plots; all show [-range, range] in both directions, and the series in order.
struct Panel {
  std::string title;
  std::vector<Series> layers;
  double range = 1;
};

/// One value for each category.
struct Bars {
  std::string name;
  std::vector<double> values;
};

/// Throws Error("gnuplot-missing") unless plots can be drawn: worth asking before a long computation.
inline void require_gnuplot() {
  sfumato::check(std::system("command -v gnuplot >/dev/null 2>&1") == 0, "gnuplot-missing",
                 "plots need the program gnuplot on the PATH (Debian: gnuplot-nox)");
}

namespace detail {

/// A gnuplot string.
inline std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("''") : std::string(1, c);
  return out + "'";
}

inline std::string number(double value) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.6g", value);
  return buffer;
}

/// Defines the data block $name. Points that are not numbers are left out; a block is never empty.
inline std::string block(const std::string& name, const Series& s) {
  sfumato::check(s.x.size() == s.y.size(), "plot", "series '", s.name, "' has ", s.x.size(), " x and ", s.y.size(),
                 " y values");
  std::string out = "$" + name + " << EOD\n";
  bool empty = true;
  for (std::size_t i = 0; i < s.x.size(); ++i) {
    if (!std::isfinite(s.x[i]) || !std::isfinite(s.y[i])) continue;
    out += number(s.x[i]) + " " + number(s.y[i]) + "\n";
    empty = false;
  }
  return out + (empty ? "NaN NaN\n" : "") + "EOD\n";
}

inline std::string color_of(const Series& s) { return s.color.empty() ? "" : " lc rgb " + quoted(s.color); }

/// A path beside `png` that is ours until the end of the scope.
struct Temporary {
  explicit Temporary(const std::filesystem::path& png)
      : path(png.string() + ".tmp." + std::to_string(getpid()) + ".png") {
    remove();  // left by a killed process that had our id
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  ~Temporary() { remove(); }
  void remove() const noexcept {
    std::error_code ignored;
    std::filesystem::remove(path, ignored);
  }
  std::filesystem::path path;
};

/// Draws `script` to a PNG that appears whole or not at all: gnuplot draws in place, and a full disk is no error to it.
/// Throws Error("gnuplot-missing") and Error("gnuplot").
inline void run(std::string script, const std::filesystem::path& png, int width, int height) {
  require_gnuplot();
  const Temporary drawn(png);
  script = "set terminal pngcairo noenhanced size " + std::to_string(width) + "," + std::to_string(height) +
           "\nset output " + quoted(drawn.path.string()) + "\n" + script;
  const auto previous = std::signal(SIGPIPE, SIG_IGN);  // a gnuplot that gives up is an error below, not our end
  std::FILE* pipe = popen("gnuplot", "w");
  const bool written = pipe != nullptr && std::fwrite(script.data(), 1, script.size(), pipe) == script.size();
  const int status = pipe != nullptr ? pclose(pipe) : -1;
  std::signal(SIGPIPE, previous);
  const auto require = [&](bool good, const auto&... why) {
    sfumato::check(good, "gnuplot", "gnuplot could not draw '", png.string(), "': ", why...);
  };
  require(written, "it took no script");
  require(WIFEXITED(status) && WEXITSTATUS(status) == 0, "it ended with wait status ", status);
  try {
    sfumato::io::read_image(drawn.path, 3);  // checks every chunk's checksum
  } catch (const sfumato::Error& error) {
    require(false, "it left no whole image: ", error.what());
  }
  std::error_code error;
  std::filesystem::rename(drawn.path, png, error);
  require(!error, "renaming '", drawn.path.string(), "' failed: ", error.message());
}

}  // namespace detail

/// Curves in one frame.
inline void lines(const std::filesystem::path& png, const Axes& axes, std::span<const Series> series, int width = 900,
                  int height = 600) {
  using detail::quoted;
  sfumato::check(!series.empty(), "plot", "'", png.string(), "' has no series");
  std::string command, script = "set grid lc rgb '#d0d0d0'\nset key " + axes.key + "\nset title " + quoted(axes.title) +
                                "\nset xlabel " + quoted(axes.x_label) + "\nset ylabel " + quoted(axes.y_label) + "\n";
  if (axes.log_x) script += "set logscale x\n";
  if (axes.log_y) script += "set logscale y\n";
  for (std::size_t i = 0; i < series.size(); ++i) {
    const std::string name = "d" + std::to_string(i);
    script += detail::block(name, series[i]);
    command += (i ? ", $" : "plot $") + name + " using 1:2 with lines lw 2" + detail::color_of(series[i]) + " title " +
               quoted(series[i].name);
  }
  detail::run(script + command + "\n", png, width, height);
}

/// Groups of bars, a group for each category, from 0 on.
inline void bars(const std::filesystem::path& png, const std::string& title, std::span<const std::string> categories,
                 std::span<const Bars> series) {
  using detail::quoted;
  sfumato::check(!series.empty() && !categories.empty(), "plot", "'", png.string(), "' has ", series.size(), " series of ",
                 categories.size(), " bars");
  std::string script = "$d << EOD\n";
  for (std::size_t i = 0; i < categories.size(); ++i) {
    std::string label = categories[i];
    for (char& c : label)
      if (c == '"') c = '\'';
    script += "\"" + label + "\"";
    for (const Bars& s : series) script += " " + detail::number(s.values.at(i));
    script += "\n";
  }
  script += "EOD\nset grid ytics lc rgb '#d0d0d0'\nset key top left\nset yrange [0:*]\nset style data histogram\nset style histogram cluster gap 1\n"
            "set style fill solid\nset xtics rotate by -40\nset rmargin 14\nset title " + quoted(title) + "\nplot ";
  for (std::size_t i = 0; i < series.size(); ++i)
    script += (i ? ", $d" : "$d") + std::string(" using ") + std::to_string(i + 2) + ":xtic(1) title " + quoted(series[i].name);
  detail::run(script + "\n", png, std::max(900, 60 * static_cast<int>(categories.size())), 700);
}

/// Scatter plots in a grid of `columns`, row by row, each `side` pixels wide and high.
inline void scatter_panels(const std::filesystem::path& png, const std::string& title, std::span<const Panel> panels,
                           int columns, int side = 280) {
  using detail::quoted;
  sfumato::check(!panels.empty() && columns > 0, "plot", "'", png.string(), "' has ", panels.size(), " panels in ",
                 columns, " columns");
  const int rows = (static_cast<int>(panels.size()) + columns - 1) / columns;
  std::string script = "set multiplot layout " + std::to_string(rows) + "," + std::to_string(columns) + " title " +
                       quoted(title) +
                       " font ',14'\nunset key\nset size ratio -1\nset format ''\nset tics scale 0\nset lmargin 1\nset "
                       "rmargin 1\nset bmargin 1\nset tmargin 2\n";
  for (std::size_t p = 0; p < panels.size(); ++p) {
    const Panel& panel = panels[p];
    const std::string range = "[" + detail::number(-panel.range) + ":" + detail::number(panel.range) + "]\n";
    std::string command;
    script += "set xrange " + range + "set yrange " + range + "set title " + quoted(panel.title) + " offset 0,-0.6\n";
    for (std::size_t i = 0; i < panel.layers.size(); ++i) {
      const std::string name = "d" + std::to_string(p) + "_" + std::to_string(i);
      script += detail::block(name, panel.layers[i]);
      command += (i ? ", $" : "plot $") + name + " using 1:2 with points pt 7 ps " +
                 detail::number(panel.layers[i].size) + detail::color_of(panel.layers[i]);
    }
    script += command + "\n";
  }
  detail::run(script + "unset multiplot\n", png, columns * side, rows * side + 50);
}

}  // namespace example::plot
