// What Thrust does, on whatever system the policy names.
#pragma once

#include <sfumato/backend/cuda/memory.hpp>

#include <thrust/fill.h>
#include <thrust/for_each.h>
#include <thrust/functional.h>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/transform_reduce.h>

SFUMATO_BEGIN
namespace backend::cuda {

template <class T> template <class Policy> void Fill<T>::operator()(const Policy& policy) const {
  ::thrust::fill_n(policy, x, n, static_cast<T>(value));
}

template <class F> template <class Policy> void ForEach<F>::operator()(const Policy& policy) const {
  ::thrust::for_each_n(policy, ::thrust::counting_iterator<Index>(0), n, f);
}

template <class T> struct Square {
  SFUMATO_HD double operator()(T x) const { return static_cast<double>(x) * static_cast<double>(x); }
};
template <class T> template <class Policy> void SquaredNorm<T>::operator()(const Policy& policy) const {
  *sum = ::thrust::transform_reduce(policy, x, x + n, Square<T>{}, 0.0, ::thrust::plus<double>{});
}

}  // namespace backend::cuda
SFUMATO_END
