// reject: mixed-backends.*Cpu.*Reference|Cpu.*Reference.*mixed-backends
// A context given weights that lie on another backend.
#include <sfumato/autodiff/record.hpp>
#include <sfumato/backend/cpu/cpu.hpp>
#include <sfumato/backend/reference/reference.hpp>

using namespace sfumato;

void f(Workspace<backend::Cpu>& workspace, Tape<backend::Cpu>& tape, Array<backend::Cpu, float>& weights, Array<backend::Reference, float>& elsewhere) {
#if defined(SFUMATO_REJECT)
  Run<backend::Cpu> run(workspace, elsewhere);
  (void)weights;
#else
  Run<backend::Cpu> run(workspace, weights);
  (void)elsewhere;
#endif
  Record<backend::Cpu> record(tape, weights, weights);
}
