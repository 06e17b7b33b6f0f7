// How numbers are compared with those of an independent implementation.
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <string>

inline void check_near(double found, double expected, double tolerance, const std::string& what) {
  INFO(what << ": found " << found << ", expected " << expected << ", " << 100 * std::abs(found - expected) / tolerance << " % of the tolerance");
  CHECK(std::abs(found - expected) <= tolerance);
}
