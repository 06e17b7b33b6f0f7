// A program of somebody who uses the library: what it includes here must be installed.
#include <sfumato/sfumato.hpp>
#ifdef CONSUMER_USES_IO
#include <sfumato/io.hpp>
#endif

#include <Eigen/Core>

#include <cstdio>

int main() {
  std::puts(sfumato::text("sfumato ", SFUMATO_VERSION_MAJOR, ".", SFUMATO_VERSION_MINOR).c_str());
  return Eigen::Vector2f(1, -1).sum() == 0 ? 0 : 1;
}
