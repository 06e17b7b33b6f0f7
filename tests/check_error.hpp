// The one way in which tests look at errors.
#pragma once

#include <sfumato/base/error.hpp>

#include <doctest/doctest.h>

#include <initializer_list>
#include <string>
#include <string_view>

/// Checks that `code` throws sfumato::Error with this id and all of these words.
template <class Code>
void check_error(Code&& code, std::string_view id, std::initializer_list<std::string_view> words) {
  try {
    code();
  } catch (const sfumato::Error& error) {
    const std::string message = error.what();
    INFO(message);
    CHECK(error.id() == id);
    for (const std::string_view word : words) {
      INFO("expected: ", std::string(word));
      CHECK(message.find(word) != std::string::npos);
    }
    return;
  }
  FAIL_CHECK("no error, expected [" << id << "]");
}
