// The CUDA runtime and cuBLASLt as BasicCuda wants them. Plain C++: what only nvcc compiles is in launch.cuh.
#pragma once

#include <sfumato/backend/cuda/device.hpp>
#include <sfumato/backend/cuda/matmul.hpp>
#include <sfumato/backend/cuda/requirements.hpp>
#include <sfumato/backend/cuda/thread.hpp>

#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include <array>
#include <map>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

SFUMATO_BEGIN
namespace backend::cuda {

inline Status status_of(cudaError_t error) {
  if (error == cudaSuccess) return nullptr;
  cudaGetLastError();  // what can be recovered from is not seen again
  return cudaGetErrorString(error);
}
inline Status status_of(cublasStatus_t status) { return status == CUBLAS_STATUS_SUCCESS ? nullptr : cublasLtGetStatusString(status); }

class Api;

// Defined in launch.cuh. A C++ file gets them from a CUDA file that it is linked with: see instantiate.cuh. So they are neither
// inlined nor left out.
#define SFUMATO_LINKED __attribute__((noinline, used))
template <class Kernel> SFUMATO_LINKED Status prepare_kernel(const Grid& grid);
template <class Kernel> SFUMATO_LINKED Status launch_kernel(const Grid& grid, const Kernel& kernel, cudaStream_t stream);
template <class Step> SFUMATO_LINKED Status run_thrust(const Step& step, Api& api, cudaStream_t stream);
template <class Probed> SFUMATO_LINKED Status find_code(std::string& built_for);
#undef SFUMATO_LINKED

namespace detail {
template <auto Destroy> struct Destroyer {
  template <class T> void operator()(T* handle) const { Destroy(handle); }
};
template <class Handle, auto Destroy> using Owned = std::unique_ptr<std::remove_pointer_t<Handle>, Destroyer<Destroy>>;

template <class T> inline constexpr cudaDataType_t data_type = std::is_same_v<T, double> ? CUDA_R_64F : std::is_same_v<T, float> ? CUDA_R_32F : CUDA_R_16BF;
}  // namespace detail

/// Does nothing; has code for the device if the others have.
struct Probe {
  static constexpr const char* name = "probe";
  static constexpr int threads = warp_size;
  template <class Thread> SFUMATO_DEVICE void operator()(Thread&) const {}
};

/// A device, a stream of it, and the matrix products that were planned for it.
class Api {
 public:
  struct Event {
    cudaEvent_t event = nullptr;
  };
  struct Graph {
    cudaGraphExec_t graph = nullptr;
  };
  static constexpr std::size_t piece_bytes = std::size_t{256} << 20;  ///< device memory is asked for by this much

  /// Throws Error("cuda-device").
  explicit Api(const CudaOptions& options) : device_(options.device), tf32_(options.tf32) {
    Machine machine;
    machine.status = status_of(cudaGetDeviceCount(&machine.devices));
    cudaDriverGetVersion(&machine.driver);
    cudaRuntimeGetVersion(&machine.runtime);
    check_machine(machine, options.device);
    check_status(make_current(), "cuda-device", "device ", options.device);
    check_status(status_of(cudaGetDeviceProperties(&properties_, options.device)), "cuda-device", "device ", options.device);
    std::string built_for;
    const Status found = find_code<Probe>(built_for);
    check_code(found, options.device, properties_.name, properties_.major * 10 + properties_.minor, built_for);
    stream_ = static_cast<cudaStream_t>(options.stream);
    if (stream_ == nullptr) {
      check_status(status_of(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking)), "cuda-device", "a stream");
      own_stream_.reset(stream_);
    }
    cudaStream_t copies = nullptr;
    check_status(status_of(cudaStreamCreateWithFlags(&copies, cudaStreamNonBlocking)), "cuda-device", "a stream");
    copies_.reset(copies);
    check_status(create(copied_), "cuda-device", "an event");
    cublasLtHandle_t blas = nullptr;
    check_status(status_of(cublasLtCreate(&blas)), "cuda-device", "cuBLASLt");
    blas_.reset(blas);
    check_memory(*this, allocate(&workspace_memory_, workspace_bytes + temporary_bytes), "matrix products and sums", workspace_bytes + temporary_bytes);
    workspace_.reset(workspace_memory_);
  }
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;
  ~Api() {
    for (const cudaEvent_t event : events_) cudaEventDestroy(event);
  }

  const cudaDeviceProp& properties() const { return properties_; }
  /// The CUDA version that the driver is for, 1000 major + 10 minor.
  static int driver() {
    int version = 0;
    cudaDriverGetVersion(&version);
    return version;
  }
  cudaStream_t stream() const { return stream_; }

  /// Makes the device that of the calling thread, which may use others too.
  Status make_current() { return status_of(cudaSetDevice(device_)); }
  Status allocate(void** memory, std::size_t bytes) {
    if (const Status status = make_current()) return status;
    return status_of(cudaMalloc(memory, bytes));
  }
  Status free(void* memory) { return status_of(cudaFree(memory)); }
  Status allocate_pinned(void** memory, std::size_t bytes) { return status_of(cudaHostAlloc(memory, bytes, cudaHostAllocDefault)); }
  Status free_pinned(void* memory) { return status_of(cudaFreeHost(memory)); }
  Status memory(std::size_t& available, std::size_t& total) { return status_of(cudaMemGetInfo(&available, &total)); }

  /// From pinned memory.
  Status copy_to_device(void* to, const void* from, std::size_t bytes, Lane lane) {
    return status_of(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, lane == Lane::copies ? copies_.get() : stream_));
  }
  /// What is launched from now on runs after the copies of that lane.
  Status wait_for_copies() {
    if (const Status status = status_of(cudaEventRecord(copied_.event, copies_.get()))) return status;
    return status_of(cudaStreamWaitEvent(stream_, copied_.event));
  }
  /// Waits until it is done.
  Status copy_to_host(void* to, const void* from, std::size_t bytes) {
    if (const Status status = status_of(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream_))) return status;
    return status_of(cudaStreamSynchronize(stream_));  // copies on their own lane may go on
  }
  Status zero(void* to, std::size_t bytes) { return status_of(cudaMemsetAsync(to, 0, bytes, stream_)); }
  Status copy_on_device(void* to, const void* from, std::size_t bytes) { return status_of(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream_)); }
  Status synchronize() {
    if (const Status status = status_of(cudaStreamSynchronize(copies_.get()))) return status;
    return status_of(cudaStreamSynchronize(stream_));
  }

  Status create(Event& event) {
    if (const Status status = status_of(cudaEventCreateWithFlags(&event.event, cudaEventDisableTiming))) return status;
    events_.push_back(event.event);
    return nullptr;
  }
  Status record(Event& event, Lane lane) { return status_of(cudaEventRecord(event.event, lane == Lane::copies ? copies_.get() : stream_)); }
  Status wait(Event& event) { return status_of(cudaEventSynchronize(event.event)); }

  template <class Kernel> Status prepare(const Grid& grid) { return prepare_kernel<Kernel>(grid); }
  template <class Kernel> Status launch(const Grid& grid, const Kernel& kernel) { return launch_kernel(grid, kernel, stream_); }
  template <class Step> Status thrust(const Step& step) { return run_thrust(step, *this, stream_); }

  Status begin_capture() { return status_of(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal)); }
  void abandon_capture() {
    cudaGraph_t graph = nullptr;
    cudaStreamEndCapture(stream_, &graph);
    if (graph != nullptr) cudaGraphDestroy(graph);
    cudaGetLastError();
  }
  Status end_capture(Graph& to) {
    cudaGraph_t graph = nullptr;
    if (const Status status = status_of(cudaStreamEndCapture(stream_, &graph))) return status;
    const Status status = status_of(cudaGraphInstantiate(&to.graph, graph, 0));
    cudaGraphDestroy(graph);
    return status;
  }
  Status launch(Graph& graph) { return status_of(cudaGraphLaunch(graph.graph, stream_)); }
  void destroy(Graph& graph) { cudaGraphExecDestroy(graph.graph); }

  /// Memory for the length of one algorithm.
  char* allocate_temporary(std::size_t bytes) {
    bytes = (bytes + 255) / 256 * 256;
    ++temporaries_;
    if (temporary_used_ + bytes > temporary_bytes) {
      void* memory = nullptr;
      check_memory(*this, allocate(&memory, bytes), "a sum", bytes);
      return static_cast<char*>(memory);
    }
    char* const memory = temporary() + temporary_used_;
    temporary_used_ += bytes;
    return memory;
  }
  void deallocate_temporary(char* memory) {
    if (memory < temporary() || memory >= temporary() + temporary_bytes) free(memory);
    if (--temporaries_ == 0) temporary_used_ = 0;
  }

  template <class T> Status plan(const Product<T>& p) {
    const Plan* made = nullptr;
    return find_plan(p, made);
  }
  template <class T> Status matmul(const Product<T>& p) {
    const Plan* plan = nullptr;
    if (const Status status = find_plan(p, plan)) return status;
    if (p.bias != nullptr) {
      const void* const bias = p.bias;
      if (const Status status = status_of(cublasLtMatmulDescSetAttribute(plan->product.get(), CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias))) return status;
    }
    const compute_t<T> one = 1, beta = p.accumulate != 0 ? 1 : 0;
    return status_of(cublasLtMatmul(blas_.get(), plan->product.get(), &one, p.b.data, plan->left.get(), p.a.data, plan->right.get(), &beta, p.c, plan->out.get(), p.c,
                                    plan->out.get(), &plan->algorithm, workspace_memory_, workspace_bytes, stream_));
  }

 private:
  /// How one shape of product is computed. cuBLASLt counts by columns, so that it is given c^T = b^T a^T.
  struct Plan {
    detail::Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy> product;
    detail::Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy> left, right, out;
    cublasLtMatmulAlgo_t algorithm{};
    bool possible = true;
  };
  using Key = std::array<Index, 17>;

  template <class T> Status find_plan(const Product<T>& p, const Plan*& plan) {
    const Key key{p.m, p.n, p.k, p.count, p.a.transposed, p.a.leading, p.a.batch, p.b.transposed, p.b.leading, p.b.batch, p.c_row, p.c_batch, p.accumulate,
                  p.bias != nullptr, p.activation, Index(detail::data_type<T>), alignment(p.a.data) + 16 * (alignment(p.b.data) + 16 * (alignment(p.c) + 16 * alignment(p.bias)))};
    auto known = plans_.find(key);
    if (known == plans_.end()) {
      if (const Status status = make_current()) return status;
      Plan made;
      const cublasStatus_t status = make_plan(p, made);
      made.possible = status != CUBLAS_STATUS_NOT_SUPPORTED;
      if (made.possible && status != CUBLAS_STATUS_SUCCESS) return status_of(status);  // may go well another time
      known = plans_.emplace(key, std::move(made)).first;
    }
    plan = &known->second;
    return plan->possible ? nullptr : status_of(CUBLAS_STATUS_NOT_SUPPORTED);
  }

  template <class T> cublasStatus_t make_plan(const Product<T>& p, Plan& plan) {
    constexpr cudaDataType_t type = detail::data_type<T>, scale = std::is_same_v<T, double> ? CUDA_R_64F : CUDA_R_32F;
    const cublasComputeType_t compute = std::is_same_v<T, double>                       ? CUBLAS_COMPUTE_64F
                                        : std::is_same_v<T, float> && tf32_ == Tf32::on ? CUBLAS_COMPUTE_32F_FAST_TF32
                                                                                        : CUBLAS_COMPUTE_32F;
    cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
    const auto then = [&](const auto& f) {
      if (status == CUBLAS_STATUS_SUCCESS) status = f();
    };
    then([&] {
      cublasLtMatmulDesc_t product = nullptr;
      const cublasStatus_t made = cublasLtMatmulDescCreate(&product, compute, scale);
      plan.product.reset(product);
      return made;
    });
    const auto set = [&](cublasLtMatmulDescAttributes_t attribute, const auto& value) {
      then([&] { return cublasLtMatmulDescSetAttribute(plan.product.get(), attribute, &value, sizeof value); });
    };
    set(CUBLASLT_MATMUL_DESC_TRANSA, p.b.transposed != 0 ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(CUBLASLT_MATMUL_DESC_TRANSB, p.a.transposed != 0 ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue(p.bias != nullptr, static_cast<Activation>(p.activation)));
    if (p.bias != nullptr) set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, static_cast<const void*>(p.bias));
    const auto layout = [&](auto& to, Index rows, Index columns, Index leading, Index batch) {
      then([&] {
        cublasLtMatrixLayout_t made = nullptr;
        const cublasStatus_t result = cublasLtMatrixLayoutCreate(&made, type, static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(columns), leading);
        to.reset(made);
        return result;
      });
      const int count = static_cast<int>(p.count);
      then([&] { return cublasLtMatrixLayoutSetAttribute(to.get(), CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count); });
      then([&] { return cublasLtMatrixLayoutSetAttribute(to.get(), CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &batch, sizeof batch); });
    };
    layout(plan.left, p.b.transposed != 0 ? p.k : p.n, p.b.transposed != 0 ? p.n : p.k, p.b.leading, p.b.batch);
    layout(plan.right, p.a.transposed != 0 ? p.m : p.k, p.a.transposed != 0 ? p.k : p.m, p.a.leading, p.a.batch);
    layout(plan.out, p.n, p.m, p.c_row, p.c_batch);

    detail::Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy> preference;
    then([&] {
      cublasLtMatmulPreference_t made = nullptr;
      const cublasStatus_t result = cublasLtMatmulPreferenceCreate(&made);
      preference.reset(made);
      return result;
    });
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
      then([&] { return cublasLtMatmulPreferenceSetAttribute(preference.get(), attribute, &value, sizeof value); });
    };
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{workspace_bytes});
    prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, std::uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});  // sums of parts in f32, not bf16
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, std::uint32_t{1} << alignment(p.b.data));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, std::uint32_t{1} << alignment(p.a.data));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, std::uint32_t{1} << alignment(p.c));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, std::uint32_t{1} << alignment(p.c));
    cublasLtMatmulHeuristicResult_t found{};
    int count = 0;
    then([&] {
      return cublasLtMatmulAlgoGetHeuristic(blas_.get(), plan.product.get(), plan.left.get(), plan.right.get(), plan.out.get(), plan.out.get(), preference.get(), 1,
                                            &found, &count);
    });
    if (status == CUBLAS_STATUS_SUCCESS && count == 0) status = CUBLAS_STATUS_NOT_SUPPORTED;
    plan.algorithm = found.algo;
    return status;
  }

  static cublasLtEpilogue_t epilogue(bool bias, Activation activation) {
    if (activation == Activation::relu) return bias ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_RELU;
    if (activation == Activation::gelu_tanh) return bias ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_GELU;
    return bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
  }
  /// log2 of what a pointer is a multiple of, at most 8.
  static Index alignment(const void* pointer) {
    Index power = 0;
    while (power < 8 && reinterpret_cast<std::uintptr_t>(pointer) % (std::uintptr_t{2} << power) == 0) ++power;
    return power;
  }

  static constexpr std::size_t workspace_bytes = std::size_t{32} << 20, temporary_bytes = std::size_t{4} << 20;
  char* temporary() const { return static_cast<char*>(workspace_memory_) + workspace_bytes; }

  int device_;
  Tf32 tf32_;
  cudaDeviceProp properties_{};
  cudaStream_t stream_ = nullptr;
  detail::Owned<cudaStream_t, cudaStreamDestroy> own_stream_, copies_;
  Event copied_;
  detail::Owned<cublasLtHandle_t, cublasLtDestroy> blas_;
  void* workspace_memory_ = nullptr;
  detail::Owned<void*, cudaFree> workspace_;
  std::map<Key, Plan> plans_;
  std::vector<cudaEvent_t> events_;
  std::size_t temporary_used_ = 0;
  int temporaries_ = 0;
};

}  // namespace backend::cuda
SFUMATO_END
