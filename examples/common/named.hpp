// Types that a program knows by name, and tables of them.
#pragma once

#include <sfumato/base/error.hpp>

#include <span>
#include <string>

namespace example {

inline void add_name(std::string& names, const char* name) { names += std::string(names.empty() ? "" : ", ") + name; }
/// The names that `for_each` visits: it calls `visit.template operator()<T>(name)` for every type that is known.
template <class ForEach> std::string names_of(const ForEach& for_each) {
  std::string names;
  for_each([&]<class>(const char* each) { add_name(names, each); });
  return names;
}
/// Calls `body.template operator()<T>()` for the one called `name`, and says whether there is one.
template <class ForEach, class Body> bool if_named(const ForEach& for_each, const std::string& name, Body&& body) {
  bool found = false;
  for_each([&]<class T>(const char* each) {
    if (name != each) return;
    found = true;
    body.template operator()<T>();
  });
  return found;
}
/// The same; throws Error("model") with the known names. `what`: of what kind they are.
template <class ForEach, class Body> void with_named(const ForEach& for_each, const char* what, const std::string& name, Body&& body) {
  const bool found = if_named(for_each, name, body);
  sfumato::check(found, "model", "there is no ", what, " called '", name, "'; known are ", names_of(for_each));
}

/// A model of `info`: `row` prints its line of the table, `details` more where there is more.
struct Listed {
  const char* name;
  void (*row)(const std::string&);
  void (*details)();
};
/// Prints the one called `name`, or all in a table if it is empty, below what `heading` prints. Says whether there is one.
inline bool print_listed(std::span<const Listed> models, const std::string& name, void (*heading)()) {
  if (name.empty()) {
    heading();
    for (const Listed& model : models) model.row(model.name);
    return true;
  }
  for (const Listed& model : models) {
    if (name != model.name) continue;
    heading();
    model.row(name);
    if (model.details) model.details();
    return true;
  }
  return false;
}
inline std::string listed_names(std::span<const Listed> models) {
  std::string names;
  for (const Listed& model : models) add_name(names, model.name);
  return names;
}

}  // namespace example
