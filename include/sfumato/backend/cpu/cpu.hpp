// The CPU backend: `backend::Cpu`, vectorised for the machine it runs on and parallel through OpenMP where the compiler
// offers it.
#pragma once

#include <sfumato/backend/cpu/attention.hpp>
#include <sfumato/backend/cpu/context.hpp>
#include <sfumato/backend/cpu/copy.hpp>
#include <sfumato/backend/cpu/elementwise.hpp>
#include <sfumato/backend/cpu/gemm.hpp>
#include <sfumato/backend/cpu/rows.hpp>

SFUMATO_BEGIN

template <> struct Kernels<backend::Cpu> : backend::cpu::Memory,
                                           backend::cpu::Gemm,
                                           backend::cpu::Attention,
                                           backend::cpu::Rows,
                                           backend::cpu::Elementwise,
                                           backend::cpu::Copy {};

static_assert(Backend<backend::Cpu>);

SFUMATO_END
