// Costs as RAE's paper and code count them (arXiv 2510.11690, tables 7 and 13, figure 6, appendix C), which leave out what `cost_of` has.
#pragma once

#include <sfumato/autodiff/count.hpp>

SFUMATO_BEGIN

/// Of a vision encoder or of a decoder for one image: linear layers alone, without the products inside of attention and those that resample
/// the positions.
template <class Model> constexpr Index linear_macs(Index macs) {
  using Trunk = decltype(Model::trunk);
  constexpr Index width = Trunk::width, tokens = Model::tokens + Model::prefix, attention = Trunk::depth * 2 * tokens * tokens * width;
  if constexpr (requires { Model::stored_grid; }) {
    constexpr Index grid = Model::grid, stored = Model::stored_grid;
    return macs - attention - (grid != stored ? width * grid * stored * (grid + stored) : 0);
  } else {
    return macs - attention;
  }
}

/// Of a DiT or DiT-DH for one image: the head's modulations once for each sample, though each token has its own, and without the
/// projection to the head and its embedding.
template <class Model> constexpr Index sample_conditioned_macs(Index macs) {
  if constexpr (!Model::decoupled) {
    return macs;
  } else {
    using Head = typename Model::HeadLayer;
    constexpr Index by_token = (6 * Head::Blocks::depth + 2) * Index{Head::width} * Head::width;
    return macs - (Model::tokens - 1) * by_token - Model::tokens * Index{Head::width} * ((Model::width != Head::width ? Model::width : 0) + Model::token_dim);
  }
}

/// Of a DiT-DH's head alone for one image, counted likewise: blocks and last layer.
template <class Model> requires Model::decoupled constexpr Index sample_conditioned_head_macs() {
  using Head = typename Model::HeadLayer;
  Count count;
  const Head head{};
  const auto condition = Count::input<Shape<dynamic, Head::width>>(1);
  head.final_layer(count, head.trunk(count, Count::input<Shape<dynamic, Model::tokens, Head::width>>(1), condition), condition);
  return count.cost.macs;
}

SFUMATO_END
