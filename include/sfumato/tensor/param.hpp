// Parameters: shapes and places, no data. A model's object is a layout; weights, gradients, moments and averages are
// flat buffers of that layout, so one model object serves any of them, on any backend, in any element type.
#pragma once

#include <sfumato/base/error.hpp>
#include <sfumato/base/random.hpp>
#include <sfumato/tensor/value.hpp>

#include <array>
#include <cmath>
#include <ratio>
#include <string>
#include <tuple>
#include <vector>

SFUMATO_BEGIN

/// Initialisation laws: `static double value(Random, i, fan_in, fan_out)`.
namespace init {
/// Value, a std::ratio.
template <class Value> struct Constant {
  static double value(const Random&, Index, Index, Index) { return static_cast<double>(Value::num) / static_cast<double>(Value::den); }
};
using Zero = Constant<std::ratio<0>>;
using One = Constant<std::ratio<1>>;
/// N(0, Std^2), Std a std::ratio.
template <class Std> struct Normal {
  static double value(const Random& random, Index i, Index, Index) {
    return random.normal(static_cast<std::uint64_t>(i)) * static_cast<double>(Std::num) / static_cast<double>(Std::den);
  }
};
using Normal02 = Normal<std::ratio<2, 100>>;
/// Glorot and Bengio 2010, on the weight flattened to (out, in).
struct XavierUniform {
  static double value(const Random& random, Index i, Index fan_in, Index fan_out) {
    const double bound = std::sqrt(6.0 / static_cast<double>(fan_in + fan_out));
    return bound * (2 * random.uniform(static_cast<std::uint64_t>(i)) - 1);
  }
};
/// U(-1/sqrt(In), 1/sqrt(In)).
template <int In> struct UniformWithin {
  static double value(const Random& random, Index i, Index, Index) { return (2 * random.uniform(static_cast<std::uint64_t>(i)) - 1) / std::sqrt(double(In)); }
};
/// U(-1/sqrt(fan_in), 1/sqrt(fan_in)): PyTorch's default for linear layers, biases too.
struct UniformFanIn {
  template <int In> using Bias = UniformWithin<In>;
  static double value(const Random& random, Index i, Index fan_in, Index) {
    return (2 * random.uniform(static_cast<std::uint64_t>(i)) - 1) / std::sqrt(static_cast<double>(fan_in));
  }
};
/// The law of the bias that goes with a weight's: `Init::Bias<In>` where it says so, else zero.
template <class Init, int In> struct BiasOf { using type = Zero; };
template <class Init, int In> requires requires { typename Init::template Bias<In>; }
struct BiasOf<Init, In> { using type = typename Init::template Bias<In>; };
/// The law of weights `Init`, the biases as they go with `Like`.
template <class Init, class Like> struct BiasAs : Init {
  template <int In> using Bias = typename BiasOf<Like, In>::type;
};
/// Values given by a table type: `static void fill(double*)`; for frozen position embeddings.
template <class Table> struct FromTable {
  using table = Table;
};
}  // namespace init

/// One tensor of parameters. `Frozen` ones are stored and saved, and never trained.
template <IsShape ShapeT, class Init = init::XavierUniform, bool Frozen = false> struct Param {
  using shape = ShapeT;
  using init = Init;
  static constexpr bool frozen = Frozen;
  static constexpr Index size = ShapeT::row;
  Index offset = -1;  ///< in elements, from the start of the flat buffer; set by `bind`
};

namespace detail {
template <class T> struct IsParam : std::false_type {};
template <class S, class I, bool F> struct IsParam<Param<S, I, F>> : std::true_type {};
template <class T> struct IsArray : std::false_type {};
template <class T, std::size_t N> struct IsArray<std::array<T, N>> : std::true_type {};
template <class T> struct IsTuple : std::false_type {};
template <class... T> struct IsTuple<std::tuple<T...>> : std::true_type {};

struct Parameters {
  template <class M> static constexpr bool wants = IsParam<M>::value;
};
/// Goes through a model's parts to those that are wanted.
template <class Wanted, class Visit> struct Walk {
  Visit& visit;
  template <class Member> constexpr void operator()(const char*, Member& member) const {
    using M = std::remove_const_t<Member>;
    if constexpr (Wanted::template wants<M>) visit(member);
    else if constexpr (IsArray<M>::value) for (auto& each : member) (*this)("", each);
    else if constexpr (IsTuple<M>::value) std::apply([this](auto&... each) { ((*this)("", each), ...); }, member);
    else if constexpr (!IsParam<M>::value && !is_none<M>) M::parameters(member, *this);
  }
};

template <class Visit> struct NamedWalk {
  Visit& visit;
  std::string prefix;
  template <class Member> void operator()(const char* name, Member& member) const {
    using M = std::remove_const_t<Member>;
    if constexpr (IsParam<M>::value) {
      visit(prefix + name, member);
    } else if constexpr (IsArray<M>::value) {
      for (std::size_t i = 0; i < member.size(); ++i)
        NamedWalk{visit, prefix + name + "."}(std::to_string(i).c_str(), member[i]);
    } else if constexpr (IsTuple<M>::value) {
      int i = 0;
      std::apply([&](auto&... each) { (NamedWalk{visit, prefix + name + "."}(std::to_string(i++).c_str(), each), ...); }, member);
    } else if constexpr (!is_none<M>) {
      M::parameters(member, NamedWalk{visit, *name ? prefix + name + "." : prefix});
    }
  }
};
}  // namespace detail

template <class T>
concept IsParam = detail::IsParam<T>::value;

/// Calls `visit(param)` for every parameter of `model`, in the order of its checkpoint.
template <class Model, class Visit> constexpr void for_each_parameter(Model& model, Visit&& visit) {
  detail::Walk<detail::Parameters, std::remove_reference_t<Visit>>{visit}("", model);
}
/// Calls `visit(name, param)`; names are the checkpoint's keys, e.g. "blocks.0.attn.qkv.weight".
template <class Model, class Visit> void for_each_named_parameter(Model& model, Visit&& visit) {
  detail::NamedWalk<std::remove_reference_t<Visit>>{visit, ""}("", model);
}

/// Trainable parameters of a model type; frozen tables are counted on request.
template <class Model> constexpr Index parameter_count(bool with_frozen = false) {
  Model model{};
  Index count = 0;
  for_each_parameter(model, [&](auto& p) {
    using P = std::remove_reference_t<decltype(p)>;
    if (!P::frozen || with_frozen) count += P::size;
  });
  return count;
}

/// Elements between the starts of neighbouring parameters are multiples of this, so that each begins on a cache line in f32 and f64.
inline constexpr Index parameter_alignment = 16;

/// Gives every parameter its place in the flat buffer; returns the buffer's length in elements.
template <class Model> constexpr Index bind(Model& model) {
  Index offset = 0;
  for_each_parameter(model, [&](auto& p) {
    using P = std::remove_reference_t<decltype(p)>;
    p.offset = offset;
    offset += (P::size + parameter_alignment - 1) / parameter_alignment * parameter_alignment;
  });
  return offset;
}

/// One line of a layout: what a checkpoint, an optimiser or a printer needs to know of a parameter.
struct ParameterInfo {
  std::string name;
  std::vector<Index> shape;
  Index offset, size;
  bool frozen;
  bool decays;  ///< weight decay applies: a trainable matrix, of two rows or more; no bias, nor what has a leading 1, as class tokens and most position embeddings
};

/// The parameters of a bound model, in order.
template <class Model> std::vector<ParameterInfo> parameter_table(const Model& model) {
  std::vector<ParameterInfo> table;
  for_each_named_parameter(model, [&](const std::string& name, const auto& p) {
    using P = std::remove_cvref_t<decltype(p)>;
    const auto& e = P::shape::extents;
    table.push_back({name, std::vector<Index>(e.begin(), e.end()), p.offset, P::size, P::frozen, P::shape::rank >= 2 && e[0] > 1 && !P::frozen});
  });
  return table;
}

namespace detail {
template <class P, class Store> void initialise_one(std::uint64_t seed, std::uint32_t ordinal, Store&& store) {
  using Init = typename P::init;
  if constexpr (requires(double* d) { Init::table::fill(d); }) {
    std::vector<double> table(static_cast<std::size_t>(P::size));
    Init::table::fill(table.data());
    for (Index i = 0; i < P::size; ++i) store(i, table[static_cast<std::size_t>(i)]);
  } else {
    const Index fan_out = P::shape::rank > 0 ? P::shape::extents[0] : 1;
    const Random random{seed, Stream::init, ordinal};
    for (Index i = 0; i < P::size; ++i) store(i, Init::value(random, i, P::size / fan_out, fan_out));
  }
}
}  // namespace detail

/// Writes each parameter's initial value into a host buffer of `bind(model)` elements.
template <class Model, class E> void initialise(const Model& model, std::uint64_t seed, E* host) {
  std::uint32_t ordinal = 0;
  for_each_parameter(model, [&](const auto& p) {
    using P = std::remove_cvref_t<decltype(p)>;
    detail::initialise_one<P>(seed, ordinal++, [&](Index i, double value) { host[p.offset + i] = static_cast<E>(value); });
  });
}

SFUMATO_END
